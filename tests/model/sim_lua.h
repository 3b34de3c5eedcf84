/*
 * sim_lua: weir's own scripts, word for word, in Debian's Lua 5.1 over a sim_db.
 *
 * A script that fails stays half done, as in Redis. One thread, one interpreter a process.
 */
#ifndef SIM_LUA_H
#define SIM_LUA_H

#include "sim_db.h"

struct sim_lua;
struct sim_lua *sim_lua_new(void);
void sim_lua_free(struct sim_lua *lua);

/* SCRIPT LOAD, and what a restart of Redis forgets. */
void sim_lua_load(struct sim_lua *lua, struct sim_text body);
void sim_lua_forget(struct sim_lua *lua);
/* `sha` is the hash in hex. False: NOSCRIPT. */
bool sim_lua_knows(struct sim_lua *lua, struct sim_text sha);

/* EVALSHA, EVAL and SCRIPT LOAD as they come; everything else goes to the database itself. A
 * script dies at its `die_at`-th call of redis.call; 0: never. */
struct weir_reply *sim_lua_call(struct sim_lua *lua, struct sim_db *db, size_t argc,
                                const struct sim_text *argv, uint32_t die_at);
/* The calls that the last script made. */
uint32_t sim_lua_calls(const struct sim_lua *lua);

#endif
