#include "app/scripts.h"

/* `#!lua` makes Redis refuse the whole script before its first write when it is out of memory,
 * read-only or cannot persist. */

const char weir_script_claim[] =
    "#!lua\n"
    "-- KEYS: meta. ARGV: token, fingerprint, the format that we read.\n"
    "local known = redis.call('HGET', KEYS[1], 'fingerprint')\n"
    "if known and known ~= ARGV[2] then return {'FINGERPRINT', known} end\n"
    "local state = redis.call('HGET', KEYS[1], 'state')\n"
    "if state and string.byte(state) ~= tonumber(ARGV[3]) then return {'FORMAT', state} end\n"
    "local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)\n"
    "redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'fingerprint', ARGV[2], 'idle', '0')\n"
    "redis.call('HSETNX', KEYS[1], 'seq', '0')\n"
    "return {'OK', epoch, state or false,\n"
    "        redis.call('HGET', KEYS[1], 'mark') or false}\n";

const char weir_script_commit[] =
    "#!lua\n"
    "-- KEYS: meta, touched, ticks, keys to set, keys to remove.\n"
    "-- ARGV: token, previous seq, seq, offset, watermark, state, ticks, idle, lag, wall clock,\n"
    "--       number of keys to set, of touched buckets, of removed ones, the last record's mark,\n"
    "--       their names, values.\n"
    "local now = redis.call('HMGET', KEYS[1], 'owner', 'seq', 'offset')\n"
    "if not now[1] then return 'GONE' end\n"
    "if now[1] ~= ARGV[1] then return 'FENCED' end\n"
    "if now[2] == ARGV[3] and now[3] == ARGV[4] then return 'DUP' end\n"
    "if now[2] ~= ARGV[2] then return 'ROLLEDBACK' end\n"
    "local sets, touched, gone = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])\n"
    "local at = 14\n"
    "for i = 1, touched do redis.call('ZADD', KEYS[2], ARGV[3], ARGV[at + i]) end\n"
    "at = at + touched\n"
    "for i = 1, gone do redis.call('ZREM', KEYS[2], ARGV[at + i]) end\n"
    "at = at + gone\n"
    "for i = 1, sets do redis.call('SET', KEYS[3 + i], ARGV[at + i]) end\n"
    "for i = 4 + sets, #KEYS do redis.call('DEL', KEYS[i]) end\n"
    "for tick in string.gmatch(ARGV[7], '[^\\n]+') do redis.call('RPUSH', KEYS[3], tick) end\n"
    "redis.call('HSET', KEYS[1], 'seq', ARGV[3], 'offset', ARGV[4], 'watermark', ARGV[5],\n"
    "           'state', ARGV[6], 'idle', ARGV[8], 'lag', ARGV[9], 'wall', ARGV[10],\n"
    "           'mark', ARGV[14])\n"
    "return 'OK'\n";

const char weir_script_lease[] =
    "#!lua\n"
    "-- KEYS: lease. ARGV: token, milliseconds. 1 when the lease is ours.\n"
    "local holder = redis.call('GET', KEYS[1])\n"
    "if holder and holder ~= ARGV[1] then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
    "return 1\n";

const char weir_script_publish[] =
    "#!lua\n"
    "-- KEYS: lease, published, those of the commands. ARGV: token, previous number and word, "
    "this\n"
    "-- number and word, then commands, each as the number of its words and the words.\n"
    "-- An XADD with `MAXLEN =` counts what it drops: the answer is OK, then keys and numbers.\n"
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'FENCED' end\n"
    "local last = redis.call('HMGET', KEYS[2], 'number', 'word')\n"
    "local number, word = last[1] or '0', last[2] or ''\n"
    "if number == ARGV[4] and word == ARGV[5] then return 'DUP' end\n"
    "if number ~= ARGV[2] or word ~= ARGV[3] then return 'STALE' end\n"
    "local at, answer = 6, {'OK'}\n"
    "while at <= #ARGV do\n"
    "  local words = tonumber(ARGV[at])\n"
    "  if ARGV[at + 1] == 'XADD' and ARGV[at + 4] == '=' then\n"
    "    local over = redis.call('XLEN', ARGV[at + 2]) + 1 - tonumber(ARGV[at + 5])\n"
    "    if over > 0 then\n"
    "      answer[#answer + 1] = ARGV[at + 2]\n"
    "      answer[#answer + 1] = over\n"
    "    end\n"
    "  end\n"
    "  redis.call(unpack(ARGV, at + 1, at + words))\n"
    "  at = at + words + 1\n"
    "end\n"
    "redis.call('HSET', KEYS[2], 'number', ARGV[4], 'word', ARGV[5])\n"
    "return answer\n";
