#include "sim_lua.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPTS_MAX 16
#define WORDS_MAX 512

struct script {
    struct weir_script id;
    char *body;
    int chunk;   /* the compiled function, in the registry */
    bool loaded; /* Redis has it */
};

struct sim_lua {
    lua_State *state;
    struct script scripts[SCRIPTS_MAX];
    size_t scripts_len;
    struct sim_db *db; /* of the script that runs */
    uint32_t calls, die_at;
};

static int push_reply(lua_State *state, const struct weir_reply *reply) {
    switch (reply->type) {
    case WEIR_REPLY_NIL:
        lua_pushboolean(state, 0);
        break;
    case WEIR_REPLY_INTEGER:
        lua_pushnumber(state, (lua_Number)reply->integer);
        break;
    case WEIR_REPLY_TEXT:
    case WEIR_REPLY_ERROR:
        lua_pushlstring(state, reply->text, reply->len);
        break;
    case WEIR_REPLY_ARRAY:
        lua_createtable(state, (int)reply->items_len, 0);
        for (size_t i = 0; i < reply->items_len; i++) {
            push_reply(state, reply->items[i]);
            lua_rawseti(state, -2, (int)i + 1);
        }
        break;
    }
    return 1;
}

static int redis_call(lua_State *state) {
    struct sim_lua *lua = lua_touserdata(state, lua_upvalueindex(1));
    struct sim_text argv[WORDS_MAX];
    int argc = lua_gettop(state);
    if (++lua->calls == lua->die_at)
        return luaL_error(state, "ERR the script died here");
    if (argc < 1 || argc > WORDS_MAX)
        return luaL_error(state, "ERR Please specify at least one argument for this redis.call()");
    for (int i = 0; i < argc; i++)
        argv[i].data = lua_tolstring(state, i + 1, &argv[i].len);
    struct weir_reply *reply = sim_db_call(lua->db, (size_t)argc, argv);
    bool failed = reply->type == WEIR_REPLY_ERROR;
    push_reply(state, reply);
    weir_reply_free(reply);
    return failed ? lua_error(state) : 1;
}

struct sim_lua *sim_lua_new(void) {
    struct sim_lua *lua = calloc(1, sizeof *lua);
    WEIR_ASSERT(lua != NULL);
    lua->state = luaL_newstate();
    WEIR_ASSERT(lua->state != NULL);
    luaL_openlibs(lua->state);
    lua_newtable(lua->state);
    lua_pushlightuserdata(lua->state, lua);
    lua_pushcclosure(lua->state, redis_call, 1);
    lua_setfield(lua->state, -2, "call");
    lua_setglobal(lua->state, "redis");
    return lua;
}

void sim_lua_free(struct sim_lua *lua) {
    if (!lua)
        return;
    for (size_t i = 0; i < lua->scripts_len; i++)
        free(lua->scripts[i].body);
    lua_close(lua->state);
    free(lua);
}

static struct script *find_script(struct sim_lua *lua, struct sim_text sha) {
    for (size_t i = 0; i < lua->scripts_len; i++)
        if (sha.len == 40 && memcmp(lua->scripts[i].id.sha, sha.data, 40) == 0)
            return &lua->scripts[i];
    return NULL;
}

/* `#!lua` is a word to Redis, not to Lua. */
static struct script *compile(struct sim_lua *lua, struct sim_text body) {
    char *copy = strndup(body.data, body.len);
    WEIR_ASSERT(copy != NULL);
    struct weir_script id;
    weir_script_init(&id, copy);
    struct script *known = find_script(lua, sim_text_of(id.sha));
    if (known) {
        free(copy);
        return known;
    }
    WEIR_ASSERT(lua->scripts_len < SCRIPTS_MAX);
    struct script *script = &lua->scripts[lua->scripts_len++];
    script->id = id;
    script->body = copy;
    const char *text = copy[0] == '#' ? strchr(copy, '\n') : copy;
    if (luaL_loadbuffer(lua->state, text, strlen(text), "script") != 0) {
        fprintf(stderr, "sim: %s\n", lua_tostring(lua->state, -1));
        abort();
    }
    script->chunk = luaL_ref(lua->state, LUA_REGISTRYINDEX);
    return script;
}

void sim_lua_load(struct sim_lua *lua, struct sim_text body) {
    compile(lua, body)->loaded = true;
}

void sim_lua_forget(struct sim_lua *lua) {
    for (size_t i = 0; i < lua->scripts_len; i++)
        lua->scripts[i].loaded = false;
}

bool sim_lua_knows(struct sim_lua *lua, struct sim_text sha) {
    const struct script *script = find_script(lua, sha);
    return script && script->loaded;
}

uint32_t sim_lua_calls(const struct sim_lua *lua) {
    return lua->calls;
}

/* What Redis makes of a script's result, which lies on the top of the stack. */
static struct weir_reply *take_result(lua_State *state) {
    struct sim_text text;
    switch (lua_type(state, -1)) {
    case LUA_TSTRING:
        text.data = lua_tolstring(state, -1, &text.len);
        return sim_reply_text(text);
    case LUA_TNUMBER:
        return sim_reply_integer((int64_t)lua_tonumber(state, -1));
    case LUA_TBOOLEAN:
        return lua_toboolean(state, -1) ? sim_reply_integer(1) : sim_reply_nil();
    case LUA_TTABLE:
        break;
    default:
        return sim_reply_nil();
    }
    struct weir_reply *reply = sim_reply_array(lua_objlen(state, -1)); /* up to the first nil */
    for (size_t i = 0; i < reply->items_len; i++) {
        lua_rawgeti(state, -1, (int)i + 1);
        reply->items[i] = take_result(state);
        lua_pop(state, 1);
    }
    return reply;
}

static void set_global(lua_State *state, const char *name, size_t len,
                       const struct sim_text *texts) {
    lua_createtable(state, (int)len, 0);
    for (size_t i = 0; i < len; i++) {
        lua_pushlstring(state, texts[i].data, texts[i].len);
        lua_rawseti(state, -2, (int)i + 1);
    }
    lua_setglobal(state, name);
}

/* argv: EVAL or EVALSHA, the script, the number of keys, the keys and arguments. */
static struct weir_reply *run(struct sim_lua *lua, const struct script *script, size_t argc,
                              const struct sim_text *argv) {
    lua_State *state = lua->state;
    size_t keys = strtoull(argv[2].data, NULL, 10);
    if (keys > argc - 3)
        return sim_reply_error("ERR Number of keys can't be greater than number of args");
    set_global(state, "KEYS", keys, argv + 3);
    set_global(state, "ARGV", argc - 3 - keys, argv + 3 + keys);
    lua_rawgeti(state, LUA_REGISTRYINDEX, script->chunk);
    int failed = lua_pcall(state, 0, 1, 0);
    struct weir_reply *reply =
        failed ? sim_reply_error(lua_tostring(state, -1)) : take_result(state);
    lua_settop(state, 0);
    return reply;
}

static bool is_word(struct sim_text text, const char *word) {
    return text.len == strlen(word) && memcmp(text.data, word, text.len) == 0;
}

struct weir_reply *sim_lua_call(struct sim_lua *lua, struct sim_db *db, size_t argc,
                                const struct sim_text *argv, uint32_t die_at) {
    lua->db = db;
    lua->calls = 0;
    lua->die_at = die_at;
    bool by_sha = is_word(argv[0], "EVALSHA");
    if (is_word(argv[0], "SCRIPT") && argc == 3) {
        struct script *script = compile(lua, argv[2]);
        script->loaded = true;
        return sim_reply_text(sim_text_of(script->id.sha));
    }
    if (!by_sha && !is_word(argv[0], "EVAL"))
        return sim_db_call(db, argc, argv);
    if (by_sha && !sim_lua_knows(lua, argv[1]))
        return sim_reply_error("NOSCRIPT No matching script. Please use EVAL.");
    struct script *script = by_sha ? find_script(lua, argv[1]) : compile(lua, argv[1]);
    script->loaded = true;
    return run(lua, script, argc, argv);
}
