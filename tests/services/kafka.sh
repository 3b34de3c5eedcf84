#!/bin/sh
# A real Apache Kafka for the tests: one broker on free ports of 127.0.0.1, in a folder of its own.
#
#   kafka.sh start DIR [PORT]   starts it; writes DIR/env (KAFKA_BROKERS=...) and DIR/pid
#   kafka.sh resume DIR         starts it again on the same data and ports, after a kill or halt
#   kafka.sh halt DIR           ends it and keeps its data
#   kafka.sh stop DIR           ends it and removes DIR
#   kafka.sh fetch              only gets the jars (into ${WEIR_CACHE:-~/.cache/weir}); prints where
#
# Needs java 17 or later; maven the first time. KAFKA_HEAP (512m) is the broker's heap.
# With KAFKA_SECURE=1 a second listener wants TLS and SASL (SCRAM-SHA-512 or PLAIN); DIR/env then
# also has KAFKA_SECURE_BROKERS, KAFKA_CA, KAFKA_USER and KAFKA_PASSWORD. Needs openssl. A client
# may show a certificate of that authority, whose key lies beside it (ca.key).
# Two runs at once are safe: the cache fills under a lock, and a port that is taken is tried anew.
set -eu

version=4.1.0
here=$(cd "$(dirname "$0")" && pwd)
user=shop password=Pa55-of-the-tests
lib=${WEIR_CACHE:-${HOME:-/tmp}/.cache/weir}/kafka-$version/lib

say() { echo "kafka.sh: $*" >&2; }
die() { say "$*"; exit 1; }

fetch() {
    [ -e "$lib/.complete" ] && return
    command -v mvn >/dev/null || die "maven is missing: apt-get install maven"
    mkdir -p "$(dirname "$lib")"
    (
        flock 9 || exit 1
        [ -e "$lib/.complete" ] && exit 0
        rm -rf "$lib" "$lib.part"
        # set -e is off here, left of ||
        mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
            -DoutputDirectory="$lib.part" -DincludeScope=runtime >&2 &&
            touch "$lib.part/.complete" && mv "$lib.part" "$lib"
    ) 9>"$lib.lock" || die "cannot get Kafka's jars by maven"
}

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

# An authority, and a certificate of it for 127.0.0.1 with its key as PEM in one file.
certificates() { # dir
    command -v openssl >/dev/null || die "openssl is missing: apt-get install openssl"
    (
        cd "$1" || exit 1
        set -- -newkey rsa:2048 -nodes -days 30
        openssl req -x509 "$@" -subj "/CN=weir's tests" -keyout ca.key -out ca.crt &&
            openssl req "$@" -subj /CN=127.0.0.1 -keyout broker.key -out broker.csr &&
            printf 'subjectAltName=IP:127.0.0.1\n' >san &&
            openssl x509 -req -days 30 -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
                -extfile san -out broker.crt &&
            cat broker.key broker.crt >broker.pem
    ) >"$1/openssl.log" 2>&1 || die "cannot make certificates; see $1/openssl.log"
}

secure_properties() { # dir port secure_port controller_port
    cat <<END
listeners=PLAINTEXT://127.0.0.1:$2,SECURE://127.0.0.1:$3,CONTROLLER://127.0.0.1:$4
advertised.listeners=PLAINTEXT://127.0.0.1:$2,SECURE://127.0.0.1:$3
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location=$1/broker.pem
listener.name.secure.ssl.truststore.type=PEM
listener.name.secure.ssl.truststore.location=$1/ca.crt
listener.name.secure.ssl.client.auth=requested
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$user="$password";
END
}

properties() { # dir port controller_port
    cat <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3
advertised.listeners=PLAINTEXT://127.0.0.1:$2
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=$1/data
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
END
}

answers() { # dir port: it listens, and says itself that it is up
    grep -q 'Kafka Server started' "$1/log" && listening "$2"
}

launch() { # dir port
    : >"$1/log"
    java -Xms256m "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseSerialGC \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=info -cp "$lib/*" \
        kafka.Kafka "$1/server.properties" >"$1/log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$1/pid"
    for _ in $(seq 600); do
        answers "$1" "$2" && return 0
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    end "$1"
    return 1
}

end() { # dir: exactly the process that was started
    [ -s "$1/pid" ] || return 0
    pid=$(cat "$1/pid")
    if [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$1/server.properties"; then
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$1/pid"
}

start() { # dir [port]
    command -v java >/dev/null || die "java is missing: apt-get install default-jre-headless"
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    given=${2:-}
    [ ! -e "$dir/pid" ] || die "$dir is in use (it has a pid): kafka.sh stop $1"
    fetch
    for _ in 1 2 3; do
        port=${given:-$(free_port)}
        controller=$(free_port)
        [ "$controller" != "$port" ] || continue
        rm -rf "$dir/data"
        properties "$dir" "$port" "$controller" >"$dir/server.properties"
        secure=
        set -- # options of the format
        if [ -n "${KAFKA_SECURE:-}" ]; then
            secure=$(free_port)
            [ -e "$dir/broker.pem" ] || certificates "$dir"
            secure_properties "$dir" "$port" "$secure" "$controller" >>"$dir/server.properties"
            set -- --add-scram "SCRAM-SHA-512=[name=$user,password=$password]"
        fi
        uuid=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 1-22)
        case $uuid in -*) uuid=A${uuid#-} ;; esac # else the tool takes it for an option
        java -cp "$lib/*" kafka.tools.StorageTool format -t "$uuid" -c "$dir/server.properties" "$@" \
            >"$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; die "cannot format $dir"; }
        if launch "$dir" "$port"; then
            echo "KAFKA_BROKERS=127.0.0.1:$port" >"$dir/env"
            [ -z "$secure" ] || printf 'KAFKA_%s\n' "SECURE_BROKERS=127.0.0.1:$secure" \
                "CA=$dir/ca.crt" "USER=$user" "PASSWORD=$password" >>"$dir/env"
            return
        fi
        say "the broker did not start on port $port; the end of its log:"
        tail -5 "$dir/log" >&2
    done
    die "gave up; see $dir/log"
}

resume() { # dir
    dir=$(cd "$1" && pwd)
    end "$dir"
    launch "$dir" "$(sed -n 's/^KAFKA_BROKERS=.*://p' "$dir/env")" || die "it does not come back; see $dir/log"
}

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
verb=$1
shift
case $verb in
fetch) fetch && echo "$lib" ;;
start) [ $# -ge 1 ] || usage; start "$@" ;;
resume) [ $# -eq 1 ] || usage; resume "$1" ;;
halt) [ -d "${1:?}" ] || exit 0; end "$(cd "$1" && pwd)" ;;
stop) [ -d "${1:?}" ] || exit 0; dir=$(cd "$1" && pwd); end "$dir"; rm -rf "$dir" ;;
*) usage ;;
esac
