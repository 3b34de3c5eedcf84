#!/usr/bin/env python3
"""Kafka's leaders move, its records and topics go, its partitions grow, its producers give up; the
clock is wrong, the log's disk full: weir counts the same, or refuses with a sentence and a choice."""

import os
import re
import signal
import subprocess
import time
from datetime import datetime, timezone

import weirfault as f
import weirkafka
import weirtest as t
import weirtopics

BAD, LETTERS = b'{"type":"page_view"', 40


def three_brokers(checks):
    cluster = weirkafka.Cluster()
    leader_change(checks, cluster)
    letters_wait(checks, cluster)


def leader_change(checks, cluster):
    """The two brokers that are no controllers are killed by turns, at -9."""
    log = f.Log(10000, cluster.brokers, 3)
    sinks = f.Sinks(cluster.brokers, 3)
    rdkafka = {name: value for name, value in f.STEADILY.items() if name != "group.instance.id"}
    config = log.config("leaders", rdkafka, sinks.config())
    figures = f.Figures("leader change")
    weir = t.Weir(config).wait_log("partition claimed", 30, times=f.PARTITIONS)
    moved = 0  # of the alerts' topic, which has a leader on each broker
    for node in (1, 2) * (5 if f.LONG else 1):
        log.more(2000)
        leads = cluster.leaders(log.topic).count(node)
        moved += cluster.leaders(sinks.topic).count(node)
        cluster.nodes[node].kill()
        t.wait_until(30, lambda: node not in cluster.leaders(log.topic),  # noqa: B023
                     "other leaders")
        figures.injected += leads
        before = t.offsets(t.Redis(config.redis), config, f.PARTITIONS)
        log.more(2000)  # weir may have read them before this returns
        figures.recovered.append(f.wait_progress(config, weir, 60, before))
        cluster.nodes[node].resume()
        t.wait_until(30, lambda: leaders_are_back(cluster, log), "all leaders")
    checks.that(figures.injected > 0, "leaders were moved")
    checks.that(moved > 0, "leaders of the alerts' topic were moved")
    log.wait_counted(config, weir)
    f.settle(config)
    sinks.wait_empty(config)
    # Kafka's client leaves the group slowly where the coordinator has just moved
    checks.equal(weir.stop(60), 0, "exit code")
    figures.take(weir)
    f.same_dump(checks, log, config, "leader change")
    told = sinks.check(checks, config, "leader change")
    figures.show(log.total, alerts=told, leaders_of_the_alerts_moved=moved)


def letters_wait(checks, cluster):
    """The broker of the dead letters is away, with --long for longer than librdkafka keeps a record
    by itself: nothing is committed past a record whose letter is not there."""
    letters = t.topic("letters", 1, cluster.brokers)
    while (node := cluster.leaders(letters)[0]) < 1:  # the first is the controller
        letters = t.topic("letters", 1, cluster.brokers)
    config = t.Config(t.topic("bad", f.PARTITIONS, cluster.brokers, 3), brokers=cluster.brokers,
                      time=f.NO_TICKS, kafka={"dead_letter_topic": letters})
    figures = f.Figures("dead letters that wait", 1)
    weir = t.Weir(config).wait_log("partition claimed", 30, times=f.PARTITIONS)
    cluster.nodes[node].kill()
    t.produce(config.topic, [BAD] * LETTERS, 0, cluster.brokers)
    weir.wait_log("cannot commit; consuming stops until Kafka has the dead letters", 60)
    time.sleep(330 if f.LONG else 1)
    checks.equal(t.offsets(t.Redis(config.redis), config, 1), [0], "committed without dead letters")
    status, body = weir.http("/-/ready")
    checks.equal((status, weir.metric("weir_redis_up")), (503, 1), "/-/ready and weir_redis_up")
    checks.contains(body, "Kafka does not take its dead letters", "/-/ready")
    begun = time.monotonic()
    cluster.nodes[node].resume()
    weir.wait_log("Kafka has the dead letters; consuming goes on", 60)
    figures.recovered.append(time.monotonic() - begun)
    t.wait_counted(t.Redis(config.redis), config, f.PARTITIONS, LETTERS, watch=weir)
    checks.equal(weir.metric("weir_dead_letters_failed_total"), 0, "weir_dead_letters_failed_total")
    checks.equal(weir.stop(), 0, "exit code")
    found = {letter[2]["weir-offset"] for letter in t.consume(letters, cluster.brokers)}
    checks.equal(sorted(found, key=int), [str(n) for n in range(LETTERS)], "offsets of dead letters")
    figures.take(weir)
    figures.show(LETTERS, dead_letters=len(found))


def broker_away(checks):
    """The only broker is killed and comes back, with records to be read and alerts to be told."""
    private = t.Service("kafka")
    brokers = private.env["KAFKA_BROKERS"]
    log = f.Log(10000, brokers, hostile=True)
    sinks = f.Sinks(brokers)
    config = log.config("away", {**f.STEADILY, "socket.timeout.ms": 5000}, sinks.config())
    figures = f.Figures("the broker down and up")
    weir = t.Weir(config).wait_log("partition claimed", 30, times=f.PARTITIONS)
    for _ in range(5 if f.LONG else 2):
        log.more(6000)  # its last records are read before or after the broker dies
        private.kill()
        figures.injected += 1
        t.wait_until(30, lambda: weir.metric("weir_kafka_up") == 0, "weir misses the broker")
        before = t.offsets(t.Redis(config.redis), config, f.PARTITIONS)
        private.resume()
        begun = time.monotonic()
        t.wait_until(60, lambda: weir.metric("weir_kafka_up") == 1, "the broker is back")
        log.more(2000)
        f.wait_progress(config, weir, 60, before)
        figures.recovered.append(time.monotonic() - begun)
    log.wait_counted(config, weir)
    f.settle(config)
    sinks.wait_empty(config, 90)
    checks.equal(weir.stop(), 0, "exit code")
    figures.take(weir)
    f.same_dump(checks, log, config, "the broker down and up")
    again = f.dead_letters(checks, log, config, "the broker down and up")
    told = sinks.check(checks, config, "the broker down and up")
    figures.show(log.total, alerts=told, dead_letters_told_again=again)


def name_taken(checks):
    """Another member takes weir's name in the group: it joins again, and gives up the second time."""
    log = f.Log(10000)
    sinks = f.Sinks()
    config = log.config("name", f.STATIC, sinks.config())
    figures = f.Figures("its name in the group taken")

    def namesake():
        member = subprocess.Popen(
            ["kcat", "-b", config.brokers, "-X", "group.instance.id=one", "-X",
             "enable.auto.commit=false", "-G", config.group, log.topic],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        t.at_end(lambda: (member.kill(), member.wait()))
        figures.injected += 1
        return member

    weir = t.Weir(config).wait_log("partition claimed", 30, times=f.PARTITIONS)
    begun = time.monotonic()
    other = namesake()
    weir.wait_log("it joins again", 30)
    weir.wait_log("partition claimed", 60, times=2 * f.PARTITIONS)
    figures.recovered.append(time.monotonic() - begun)
    t.wait_until(30, lambda: other.poll() is not None, "the other one is shut out")
    log.more(2000)
    log.wait_counted(config, weir)
    f.settle(config)
    f.same_dump(checks, log, config, "its name taken")
    sinks.wait_empty(config)
    told = sinks.check(checks, config, "its name taken")
    figures.take(weir)
    namesake()
    checks.equal(weir.wait_exit(60), 4, "exit code when its name is taken again")
    checks.contains(weir.log(), "each worker its own group.instance.id", "what it says")
    figures.show(log.total, alerts=told)


def leaders_are_back(cluster, log):
    return min(cluster.leaders(log.topic)) >= 0


def refused(checks, weir, what, *words, seconds=60):
    """It ends with exit code 4 and says why and what to choose."""
    checks.equal(weir.wait_exit(seconds), 4, f"{what}: exit code: {weir.tail()}")
    for word in ("--rebuild", "kafka.group", *words):
        checks.contains(weir.log(), word, what)


def retention_passes(checks):
    """Records go that were not counted: before a start, and under a running weir."""
    log = f.Log(2000)
    redis = t.Redis()
    stopped, running = log.config("retained", f.STEADILY), log.config("retained", f.STEADILY)
    weir = t.Weir(stopped)
    log.wait_counted(stopped, weir)
    f.settle(stopped)
    checks.equal(weir.stop(), 0, "exit code")
    counted = t.offsets(redis, stopped, f.PARTITIONS)
    before = f.dump(stopped), f.published(stopped)
    log.more(28000)
    ends = [offset for _, offset in ends_of(log)]
    weir = t.Weir(running)
    f.wait_progress(running, weir)
    weirtopics.delete_records(log.topic, {p: ends[p] - 2000 for p in range(f.PARTITIONS)})
    refused(checks, weir, "retention under a running weir", "retention")
    reached = f.dump(running)
    for config in (running, stopped):
        refused(checks, t.Weir(config), "retention before a start", "retention",
                "was counted up to offset")
    checks.equal(t.offsets(redis, stopped, f.PARTITIONS), counted, "offsets after the refusal")
    nothing_written(checks, stopped, before)
    f.same_lines(checks, f.dump(running), reached, "after the second refusal")
    f.Figures("retention passing the offset", 1).show(refused=3)
    for config in (stopped, running):
        rebuilt(checks, log, config, "--rebuild of what is left")


def rebuilt(checks, log, config, what):
    """--rebuild counts what is there now."""
    ends = [end for _, end in ends_of(log)]
    weir = t.Weir(config, "--rebuild")
    t.wait_until(30, lambda: t.offsets(t.Redis(), config, f.PARTITIONS) == ends,
                 f"what is there is counted: {weir.tail()}")
    f.settle(config)
    checks.equal(weir.stop(), 0, f"{what}: exit code")
    f.same_dump(checks, log, config, what, alerts=False)


def ends_of(log):
    """[(partition, end)]."""
    found = []
    for partition in range(f.PARTITIONS):
        run = subprocess.run(["kcat", "-Q", "-b", os.environ["KAFKA_BROKERS"], "-t",
                              f"{log.topic}:{partition}:-1"], capture_output=True, check=True)
        found.append((partition, int(run.stdout.split()[-1])))
    return found


def clock_off(checks):
    """A day ahead, a day behind, and right again, each from a restart on."""
    log = f.the_log()
    sinks = f.Sinks()
    config = log.config("clock", f.STEADILY, sinks.config())
    figures = f.Figures("the clock a day off")
    for days in (1, -1):
        weir = t.Weir(config, env={"LD_PRELOAD": f.tool("clock_off.so"), "CLOCK_OFF": days * 86400})
        says = datetime.fromtimestamp(time.time() + days * 86400, timezone.utc)
        weir.wait_log(says.strftime("ts=%Y-%m-%dT"))
        figures.recovered.append(f.wait_progress(config, weir))
        f.wait_progress(config, weir)
        weir.kill()
        figures.take(weir).injected += 1
    weir = t.Weir(config)
    log.wait_counted(config, weir)
    f.settle(config)
    sinks.wait_empty(config)
    checks.equal(weir.stop(), 0, "exit code")
    f.same_dump(checks, log, config, "the clock a day off")
    told = sinks.check(checks, config, "the clock a day off")
    figures.take(weir).show(log.total, alerts=told)


def partitions_added(checks):
    """A topic of 4 partitions gets 2 more while it is counted."""
    log = f.Log(20000)
    rdkafka = {**f.STEADILY, "topic.metadata.refresh.interval.ms": 500}
    sinks = f.Sinks()
    config = log.config("grown", rdkafka, sinks.config())
    weir = t.Weir(config).wait_log("partition claimed", times=f.PARTITIONS)
    weirtopics.add_partitions(log.topic, f.PARTITIONS + 2)
    for partition in (f.PARTITIONS, f.PARTITIONS + 1):
        keyed = f.generated(2000, 1 + partition)
        t.produce(log.topic, [line for _, line in keyed], partition)
        log.total += len(keyed)
    log.partitions += 2
    weir.wait_log("partition claimed", 30, times=2 * f.PARTITIONS + 2)
    log.more(4000)  # so that the windows move on with all of them
    log.wait_counted(config, weir)
    f.settle(config)
    sinks.wait_empty(config)
    checks.equal(weir.stop(), 0, "exit code")
    f.same_dump(checks, log, config, "partitions added")
    f.Figures("partitions added", 1).take(weir).show(
        log.total, partitions=log.partitions,
        alerts=sinks.check(checks, config, "partitions added"))


def topic_made_again(checks):
    """Deleted and made anew, with fewer records: before a start, and under a running weir."""
    log = f.Log(20000)
    stopped, running = log.config("anew"), log.config("anew")
    for config in (stopped, running):
        weir = t.Weir(config)
        log.wait_counted(config, weir)
        f.settle(config)
        if config == stopped:
            checks.equal(weir.stop(), 0, "exit code")
    before = [(f.dump(config), f.published(config)) for config in (stopped, running)]
    weirtopics.delete_topic(log.topic)
    t.wait_until(20, lambda: made_again(log.topic), "the topic is there again")
    f.feed(log.topic, f.generated(4000))
    refused(checks, weir, "a topic made anew under a running weir", "made an", seconds=90)
    refused(checks, t.Weir(stopped), "a topic made anew before a start", "made again")
    refused_and_rebuilt(checks, log, (stopped, running), before, 4000)
    f.Figures("a topic made anew", 1).show(refused=2)


def refused_and_rebuilt(checks, log, configs, before, total):
    """Nothing was written by those that refused; then the new topic is counted."""
    for config, there in zip(configs, before):
        nothing_written(checks, config, there)
    log.total = total
    for config in configs:
        rebuilt(checks, log, config, "--rebuild of the new topic")


def nothing_written(checks, config, before):
    """What was there before the refusal is there still."""
    f.same_lines(checks, f.dump(config), before[0], "after the refusal")
    checks.equal(f.published(config), before[1], "what is published after the refusal")


def topic_made_again_longer(checks):
    """The new topic holds more records than were counted of the old one, when weir looks: at a
    start, and when the topic was gone for so long that Kafka's client noticed."""
    made_again_longer(checks, 0)


def topic_made_again_late(checks):
    """The same where the client had given the topic up for seconds."""
    made_again_longer(checks, 3)


def made_again_longer(checks, gone_for):
    log = f.Log(3000)
    soon = {**f.STATIC, "topic.metadata.refresh.interval.ms": 1000}  # it looks for the topic itself
    stopped, running = log.config("longer", soon), log.config("longer", soon)
    for config in (stopped, running):
        weir = t.Weir(config)
        log.wait_counted(config, weir)
        f.settle(config)
        if config == stopped:
            checks.equal(weir.stop(), 0, "exit code")
    before = [(f.dump(config), f.published(config)) for config in (stopped, running)]
    counted = t.offsets(t.Redis(), stopped, f.PARTITIONS)
    weirtopics.delete_topic(log.topic)
    weir.wait_log("Kafka reports trouble", 60)
    time.sleep(gone_for)
    said = [line for line in weir.log().splitlines() if "Unknown topic" in line]
    checks.that(len(said) <= 2 + gone_for, f"what is said of each commit: {said}")
    t.wait_until(20, lambda: made_again(log.topic), "the topic is there again")
    f.feed(log.topic, f.generated(6000, 3))
    ends = [end for _, end in ends_of(log)]
    checks.that(all(new > old for new, old in zip(ends, counted)), f"{ends} after {counted}")
    refused(checks, t.Weir(stopped), "a longer topic before a start", "another record at offset")
    # or it looked while the new one was still short: then its offset was not there
    refused(checks, weir, "a longer topic under a running weir", "the topic was made a")
    refused_and_rebuilt(checks, log, (stopped, running), before, 6000)
    f.Figures("a topic made anew and longer", 1).show(refused=2)


def retention_just_there(checks):
    """All that was counted is deleted, and nothing else: that is no reason to refuse."""
    log = f.Log(3000)
    config = log.config("just")
    weir = t.Weir(config)
    log.wait_counted(config, weir)
    checks.equal(weir.stop(), 0, "exit code")
    counted = t.offsets(t.Redis(), config, f.PARTITIONS)
    weirtopics.delete_records(log.topic, dict(enumerate(counted)))
    weir = t.Weir(config).wait_log("partition claimed", times=f.PARTITIONS)
    log.one_more()
    log.wait_counted(config, weir)
    checks.equal(weir.metric("weir_records_total"), 1, "records read")
    checks.equal(weir.stop(), 0, "exit code")
    f.Figures("retention up to the offset", 1).take(weir).show(1, deleted=sum(counted), refused=0)


def retention_behind_transactions(checks):
    """What is deleted beyond the counted offset was never a record: the ends of transactions, and
    one that was aborted. That is no reason to refuse; a record more is one."""
    log = f.Log(0)
    log.topic = t.topic("behind", f.PARTITIONS)
    committed = len(weirkafka.transactions(log.topic, f.generated(4000), 250))
    config, redis = log.config("behind"), t.Redis()

    def run(records):
        weir = t.Weir(config).wait_log("partition claimed", times=f.PARTITIONS)
        t.wait_until(30, lambda: "weir_partition_lag{" in weir.http("/metrics")[1]
                     and weir.metric("weir_records_total") == records
                     and weir.metric("weir_partition_lag") == 0, f"{records} records")
        time.sleep(0.5)  # a commit says where the end was met
        f.settle(config)
        checks.equal(weir.stop(), 0, "exit code")

    run(committed)
    counted, ends = t.offsets(redis, config, f.PARTITIONS), [end for _, end in ends_of(log)]
    behind = sum(ends) - sum(counted)
    checks.that(behind >= f.PARTITIONS, f"counted to {counted}, ends {ends}")
    weirtopics.delete_records(log.topic, dict(enumerate(ends)))
    run(0)
    run(0)  # nothing of what was counted is there, and still it is known
    f.feed(log.topic, f.generated(300, 1))
    run(300)
    weirkafka.transactions(log.topic, f.generated(1000, 2), 250)
    weirtopics.delete_records(log.topic, {p: end for p, end in ends_of(log)})
    before = f.dump(config), f.published(config)
    refused(checks, t.Weir(config), "records gone that were not counted", "was counted up to offset")
    nothing_written(checks, config, before)
    f.Figures("retention behind transactions", 2).show(bare=behind, refused=1)


def made_again(topic):
    """False while the old one is still going."""
    try:
        t.make_topic(topic, f.PARTITIONS)
    except t.Failure:
        return False
    return True


def transactions_given_up(checks):
    """Every third transaction is aborted, the last one too: only what was committed is counted, and
    the end of the topic is reached."""
    name = t.topic("transactions", f.PARTITIONS)
    log = f.Log(0)
    log.topic = name
    committed = weirkafka.transactions(name, f.generated(20000), 250)
    checks.that(0 < len(committed) < 20000, f"records committed: {len(committed)} of 20000")
    sinks = f.Sinks()
    config = log.config("transactions", None, sinks.config(),
                        time={**f.NO_TICKS, "idle_timeout": "2s"})
    weir = t.Weir(config).wait_log("partition claimed", times=f.PARTITIONS)
    t.wait_until(30, lambda: weir.metric("weir_records_total") == len(committed),
                 f"{len(committed)} records: {weir.metric('weir_records_total')}")
    weir.wait_metric("weir_partition_lag", 0, "no lag at the end")
    weir.wait_metric("weir_partition_idle", f.PARTITIONS, "all are idle")
    checks.that(weir.metric("weir_worker_caught_up") == 1, "it has caught up")
    checks.equal(weir.stop(), 0, "exit code")
    # a restart at a place where only marks follow
    weir = t.Weir(config).wait_log("partition claimed", times=f.PARTITIONS)
    weir.wait_metric("weir_partition_idle", f.PARTITIONS, "idle again")
    checks.equal(weir.metric("weir_records_total"), 0, "records read again")
    sinks.wait_empty(config)
    checks.equal(weir.stop(), 0, "exit code")
    sinks.check(checks, config, "transactions given up")
    same_as_plain(checks, name, committed)


def without_offsets(config):
    """The dump of a topic whatever it is called and wherever its records lie."""
    lines = [line.replace(f"{config.topic}.", "topic.") for line in f.dump(config)]
    return sorted(re.sub(r"^(\S+) offset \d+", r"\1", line) for line in lines
                  if line.split()[1] != "mark")


def same_as_plain(checks, name, committed):
    """The committed records in a plain topic give the same, by windows and by all that the keys of
    the partitions mean."""
    found, dumps = [], []
    figures = f.Figures("transactions given up", (20000 - len(committed)) // 250)
    for topic in (name, t.topic("plain", f.PARTITIONS)):
        log = f.Log(0)
        log.topic = topic
        sinks = f.Sinks()
        if topic != name:
            f.feed(topic, committed)
        config = log.config("plain", None, sinks.config())
        weir = t.Weir(config)
        t.wait_until(30, lambda: weir.metric("weir_records_total") == len(committed),  # noqa: B023
                     "the committed records")
        weir.wait_metric("weir_partition_lag", 0, "no lag")
        f.settle(config)
        sinks.wait_empty(config)
        checks.equal(weir.stop(), 0, "exit code")
        told = sinks.check(checks, config, "transactions given up")
        found.append(f.published(config))
        dumps.append(without_offsets(config))
        figures.take(weir)
    checks.that(len(found[0]) > 10, "windows are published")
    wrong = [key for key in sorted(set(found[0]) | set(found[1]))
             if found[0].get(key) != found[1].get(key)]
    checks.equal(wrong, [], "windows that differ from those of the committed records alone")
    f.same_lines(checks, *dumps, "the committed records alone", 500)
    figures.show(2 * len(committed), records=len(committed), alerts=told)


def log_disk_full(checks):
    """No byte of the log can be written: counting goes on."""
    log = f.the_log()
    sinks = f.Sinks()
    config = log.config("nolog", None, sinks.config())
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen([os.environ["WEIR"], "run", "--config", config.path],
                                   stdout=full, stderr=full, stdin=subprocess.DEVNULL)
    t.at_end(lambda: (process.kill(), process.wait()))
    log.wait_counted(config, None)
    f.settle(config)
    sinks.wait_empty(config)
    process.send_signal(signal.SIGTERM)
    checks.equal(process.wait(20), 0, "exit code with a full disk under the log")
    f.same_dump(checks, log, config, "a full disk under the log")
    f.Figures("disk full under the log", 1).show(
        alerts=sinks.check(checks, config, "a full disk under the log"))


def main():
    f.need_tools("kcat", "java")
    checks = t.Checks("kafka")
    f.run_beside(checks, 4, three_brokers, broker_away, name_taken, topic_made_again,
                 topic_made_again_longer, topic_made_again_late, retention_passes,
                 retention_just_there, retention_behind_transactions, clock_off, partitions_added,
                 transactions_given_up, log_disk_full)
    checks.finish()


if __name__ == "__main__":
    main()
