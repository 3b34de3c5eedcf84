#!/bin/sh
# A real Redis for the tests: on a free port of 127.0.0.1, in a folder of its own, durable.
#
#   redis.sh start DIR [ARGS...]   starts it (ARGS: more of redis-server's); writes DIR/env
#                                  (REDIS_URL=..., REDIS_PORT=..., and with openssl here also
#                                  REDIS_TLS_URL=..., REDIS_TLS_CA=...) and DIR/pid
#   redis.sh cluster DIR [ARGS...] a Redis Cluster of three primaries in DIR/1 to DIR/3, each as above;
#                                  DIR/env has REDIS_URL=redis://host:port,host:port,host:port
#   redis.sh sentinel DIR [ARGS...]  DIR/primary, DIR/replica and DIR/sentinel, which knows them as
#                                  shop; DIR/env has REDIS_URL=redis+sentinel://host:port/shop
#   redis.sh resume DIR            starts it again on the same data and port, after a kill or halt
#   redis.sh halt DIR              ends it and keeps its data
#   redis.sh stop DIR              ends it (or all of them) and removes DIR
# resume and halt take one server's folder.
set -eu

say() { echo "redis.sh: $*" >&2; }
die() { say "$*"; exit 1; }

listening() { # port
    grep -qihE ":$(printf %04X "$1") [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

free_port() { # from a range below the kernel's own choices, so that no client takes it meanwhile
    for _ in $(seq 200); do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        if ! listening "$port"; then
            echo "$port"
            return
        fi
    done
    die "no free port"
}

launch() { # dir
    : >"$1/log"
    sentinel=
    [ ! -e "$1/is-sentinel" ] || sentinel=--sentinel
    # shellcheck disable=SC2086 # no word when it is empty
    redis-server "$1/redis.conf" $sentinel >"$1/log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$1/pid"
    for _ in $(seq 1200); do
        kill -0 "$pid" 2>/dev/null || return 1
        grep -qE 'Ready to accept connections|[+]monitor' "$1/log" && return 0
        sleep 0.05
    done
    end "$1"
    return 1
}

end() { # dir: exactly the process that was started
    [ -s "$1/pid" ] || return 0
    pid=$(cat "$1/pid")
    if [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$1" ] && grep -q '^redis-server' "/proc/$pid/comm"; then
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$1/pid"
}

certificate() { # dir: one for 127.0.0.1 that is its own authority
    command -v openssl >/dev/null || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$1/tls.key" -out "$1/tls.crt" 2>"$1/log"
}

config() { # dir port tls_port [args...]: redis-server's own --name value, as lines
    printf 'bind 127.0.0.1\nport %s\ndir "%s"\n' "$2" "$1"
    [ ${#1} -gt 90 ] || printf 'unixsocket "%s/socket"\n' "$1" # a socket's path is short
    printf 'save ""\nappendonly yes\nappendfsync everysec\nmaxmemory-policy noeviction\n'
    case $(redis-server --version) in *v=[0-6].*) ;; *) echo 'enable-debug-command local' ;; esac
    if [ -e "$1/tls.crt" ]; then
        printf 'tls-port %s\ntls-cert-file "%s/tls.crt"\ntls-key-file "%s/tls.key"\n' "$3" "$1" "$1"
        printf 'tls-ca-cert-file "%s/tls.crt"\ntls-auth-clients no\n' "$1"
    fi
    shift 3
    for arg; do
        case $arg in
        --*) printf '\n%s' "${arg#--}" ;;
        *) printf ' "%s"' "$arg" ;;
        esac
    done
    echo
}

start() { # dir [args...]
    command -v redis-server >/dev/null || die "redis-server is missing: apt-get install redis-server"
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    [ ! -e "$dir/pid" ] || die "$dir is in use (it has a pid): redis.sh stop $1"
    shift
    certificate "$dir"
    for _ in 1 2 3; do
        port=$(free_port)
        tls_port=$(free_port)
        [ "$port" != "$tls_port" ] || continue
        config "$dir" "$port" "$tls_port" "$@" >"$dir/redis.conf"
        if launch "$dir"; then
            printf 'REDIS_URL=redis://127.0.0.1:%s/0\nREDIS_PORT=%s\n' "$port" "$port" >"$dir/env"
            [ ! -e "$dir/tls.crt" ] || printf 'REDIS_TLS_URL=rediss://127.0.0.1:%s/0\nREDIS_TLS_CA=%s\n' \
                "$tls_port" "$dir/tls.crt" >>"$dir/env"
            return
        fi
        say "redis-server did not start on port $port; the end of its log:"
        tail -5 "$dir/log" >&2
    done
    die "gave up; see $dir/log"
}

value() { # dir name: of its env
    sed -n "s/^$2=//p" "$1/env"
}

ask() { # dir command...
    port=$(value "$1" REDIS_PORT)
    shift
    redis-cli -h 127.0.0.1 -p "$port" "$@"
}

wait_for() { # what command...: 20 seconds
    what=$1
    shift
    for _ in $(seq 200); do
        ! "$@" || return 0
        sleep 0.1
    done
    die "still not: $what"
}

cluster_is_up() { # dir
    for n in 1 2 3; do
        ask "$1/$n" cluster info | grep -q cluster_state:ok || return 1
        [ "$(ask "$1/$n" cluster nodes | grep -c master)" = 3 ] || return 1
    done
}

cluster() { # dir [args...]
    mkdir -p "$1"
    all=$(cd "$1" && pwd)
    shift
    : >"$all/many"
    urls=
    for n in 1 2 3; do
        bus=$(free_port)
        start "$all/$n" --cluster-enabled yes --cluster-node-timeout 2000 --cluster-port "$bus" "$@"
        urls=$urls${urls:+,}127.0.0.1:$(value "$all/$n" REDIS_PORT)
        ask "$all/$n" cluster set-config-epoch "$n" >/dev/null
        ask "$all/$n" cluster addslotsrange $(((n - 1) * 16384 / 3 + (n > 1))) \
            $((n < 3 ? n * 16384 / 3 : 16383)) >/dev/null
        [ "$n" = 1 ] || ask "$all/1" cluster meet 127.0.0.1 "$(value "$all/$n" REDIS_PORT)" "$bus" >/dev/null
    done
    wait_for "a cluster that is up" cluster_is_up "$all"
    echo "REDIS_URL=redis://$urls" >"$all/env"
}

has_replica() { # dir
    ask "$1/primary" info replication | grep -q 'state=online' &&
        ask "$1/sentinel" sentinel replicas shop | grep -q 'role-reported'
}

sentinel() { # dir [args...]
    mkdir -p "$1"
    all=$(cd "$1" && pwd)
    shift
    : >"$all/many"
    start "$all/primary" "$@"
    start "$all/replica" --replicaof 127.0.0.1 "$(value "$all/primary" REDIS_PORT)" \
        --repl-diskless-sync-delay 0 "$@"
    mkdir -p "$all/sentinel"
    : >"$all/sentinel/is-sentinel"
    port=$(free_port)
    cat >"$all/sentinel/redis.conf" <<END
bind 127.0.0.1
port $port
dir "$all/sentinel"
sentinel monitor shop 127.0.0.1 $(value "$all/primary" REDIS_PORT) 1
sentinel down-after-milliseconds shop 1000
sentinel failover-timeout shop 5000
END
    launch "$all/sentinel" || die "the Sentinel did not start; see $all/sentinel/log"
    printf 'REDIS_PORT=%s\n' "$port" >"$all/sentinel/env"
    wait_for "a replica that follows" has_replica "$all"
    echo "REDIS_URL=redis+sentinel://127.0.0.1:$port/shop" >"$all/env"
}

resume() { # dir
    dir=$(cd "$1" && pwd)
    end "$dir"
    launch "$dir" || die "it does not come back: $(tail -n 3 "$dir/log")"
}

stop() { # dir
    if [ -e "$1/many" ]; then
        for one in "$1"/*/; do end "${one%/}"; done
    else
        end "$1"
    fi
    rm -rf "$1"
}

usage() { sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
verb=$1
shift
case $verb in
start) start "$@" ;;
cluster) cluster "$@" ;;
sentinel) sentinel "$@" ;;
resume) resume "$1" ;;
halt) [ -d "${1:?}" ] || exit 0; end "$(cd "$1" && pwd)" ;;
stop) [ -d "${1:?}" ] || exit 0; stop "$(cd "$1" && pwd)" ;;
*) usage ;;
esac
