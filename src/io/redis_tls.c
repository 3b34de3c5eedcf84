#include "io/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* What a person would change. */
static const char *advice(long verified) {
    switch (verified) {
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "; redis.tls.ca_file must name the authority that signed Redis's certificate";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "; the certificate must name the host as redis.url, Cluster or Sentinel names it";
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "; renew Redis's certificate";
    default:
        return "";
    }
}

/* The server's refusal of a client without a certificate may be lost with the connection (TLS 1.3
 * sends it after the handshake), so what it asked for is kept in the session. */
static int note_asked(SSL *ssl, X509 **certificate, EVP_PKEY **key) {
    (void)certificate;
    (void)key;
    SSL_set_app_data(ssl, ssl);
    return 0;
}

static bool lacks_certificate(const SSL *ssl) {
    return ssl && SSL_get_app_data(ssl) && !SSL_get_certificate(ssl);
}

static void set_ssl_reason(struct weir_link *link, const char *what) {
    long verified = link->ssl ? SSL_get_verify_result(link->ssl) : X509_V_OK;
    unsigned long code = ERR_get_error();
    char text[120] = "the connection ended";
    if (verified != X509_V_OK)
        snprintf(text, sizeof text, "%s", X509_verify_cert_error_string(verified));
    else if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    snprintf(link->reason, sizeof link->reason, "TLS %s: %s%s%s", what, text, advice(verified),
             lacks_certificate(link->ssl) ? "; Redis asked for a certificate: set "
                                            "redis.tls.cert_file and redis.tls.key_file"
                                          : "");
    ERR_clear_error();
}

static int set_peer_name(SSL *ssl, const char *host) {
    unsigned char address[16];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* The authorities that are trusted: the url's, else the system's or those of SSL_CERT_FILE and
 * SSL_CERT_DIR, which OpenSSL reads. Then our own certificate, if there is one. */
static const char *take_files(SSL_CTX *context, const struct weir_redis_url *url) {
    if (!url->ca_file && SSL_CTX_set_default_verify_paths(context) != 1)
        return "cannot read the system's authorities";
    if (url->ca_file && SSL_CTX_load_verify_file(context, url->ca_file) != 1)
        return "cannot read ca_file (authorities as PEM)";
    if (url->cert_file && SSL_CTX_use_certificate_chain_file(context, url->cert_file) != 1)
        return "cannot read cert_file (a certificate as PEM)";
    if (url->key_file && SSL_CTX_use_PrivateKey_file(context, url->key_file, SSL_FILETYPE_PEM) != 1)
        return "cannot read key_file (the key of cert_file as PEM, without a password)";
    return NULL;
}

/* NULL with `what` set when it cannot be made. */
static SSL *session_new(int fd, const struct weir_redis_url *url, const char *host,
                        const char **what) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    *what = "cannot start";
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_client_cert_cb(context, note_asked);
    const char *fault = take_files(context, url);
    if (fault)
        *what = fault;
    else
        ssl = SSL_new(context); /* holds the context */
    SSL_CTX_free(context);
    if (ssl && (SSL_set_fd(ssl, fd) != 1 || set_peer_name(ssl, host) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

int weir_tls_open(struct weir_link *link, const struct weir_redis_url *url, const char *host,
                  int timeout_ms) {
    const char *what;
    ERR_clear_error();
    link->ssl = session_new(link->fd, url, host, &what);
    if (!link->ssl) {
        set_ssl_reason(link, what);
        return -1;
    }
    for (;;) {
        int result = SSL_connect(link->ssl);
        if (result == 1)
            return 0;
        int why = SSL_get_error(link->ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            set_ssl_reason(link, "handshake failed");
            return -1;
        }
        if (!weir_link_wait(link, why == SSL_ERROR_WANT_WRITE, timeout_ms)) {
            snprintf(link->reason, sizeof link->reason, "TLS handshake: no answer in %d ms",
                     timeout_ms);
            return -1;
        }
    }
}

void weir_tls_close(struct weir_link *link) {
    SSL_free(link->ssl); /* no closing alert: nothing is in flight that it could protect */
    link->ssl = NULL;
}

static ssize_t result_of(struct weir_link *link, int result) {
    if (result > 0)
        return result;
    int why = SSL_get_error(link->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return 0;
    set_ssl_reason(link, "broke off");
    return -1;
}

static int at_most_int(size_t len) {
    return len > INT_MAX ? INT_MAX : (int)len;
}

ssize_t weir_tls_send(struct weir_link *link, const char *bytes, size_t len) {
    ERR_clear_error();
    return result_of(link, SSL_write(link->ssl, bytes, at_most_int(len)));
}

ssize_t weir_tls_recv(struct weir_link *link, char *bytes, size_t len) {
    ERR_clear_error();
    return result_of(link, SSL_read(link->ssl, bytes, at_most_int(len)));
}
