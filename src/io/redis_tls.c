#include "io/redis_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static void set_ssl_reason(struct weir_link *link, const char *what) {
    long verified = link->ssl ? SSL_get_verify_result(link->ssl) : X509_V_OK;
    unsigned long code = ERR_get_error();
    char text[120] = "the connection ended";
    if (verified != X509_V_OK)
        snprintf(text, sizeof text, "%s", X509_verify_cert_error_string(verified));
    else if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    snprintf(link->reason, sizeof link->reason, "TLS %s: %s", what, text);
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

/* The system's authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL reads. */
static SSL *session_new(int fd, const char *host) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = NULL;
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_default_verify_paths(context) == 1)
        ssl = SSL_new(context); /* holds the context */
    SSL_CTX_free(context);
    if (ssl && (SSL_set_fd(ssl, fd) != 1 || set_peer_name(ssl, host) != 1)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

int weir_tls_open(struct weir_link *link, const char *host, int timeout_ms) {
    ERR_clear_error();
    link->ssl = session_new(link->fd, host);
    if (!link->ssl) {
        set_ssl_reason(link, "cannot start");
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
