/* SPDX-License-Identifier: MIT
 *
 * All names that scripts have, in one table: X(tier, name, params, result, help). `params` is
 * VALUE for a name that is no function. annotations.c makes an editor's file of it, and a test
 * compares it with what is in a state.
 */
#ifndef MR__LUA_API_H
#define MR__LUA_API_H

#define LUA_NAMES_BASE(X)                                                                        \
    X(PURE, "assert", "value, message, ...", "any", "Raises message unless value is true.")      \
    X(PURE, "contains", "list, value", "boolean", "Whether the list has the value.")             \
    X(PURE, "date", "format, ms", "string",                                                      \
      "UTC, from Unix milliseconds: %Y %m %d %H %M %S %F %T %j %u %a %b %%.")                    \
    X(PURE, "error", "message, level", "nil", "Raises an error.")                                \
    X(PURE, "filter", "list, f", "any[]", "The items for which f(item, index) is true.")         \
    X(PURE, "getmetatable", "t", "table|nil", "The metatable of a table.")                       \
    X(PURE, "ipairs", "list", "function", "for index, item in ipairs(list).")                    \
    X(PURE, "json.decode", "text", "any", "The value of JSON text.")                             \
    X(PURE, "json.encode", "value", "string", "The value as JSON text, keys in order.")          \
    X(PURE, "keys", "t", "any[]", "The keys in order.")                                          \
    X(PURE, "map", "list, f", "any[]", "f(item, index) for each item.")                          \
    X(PURE, "next", "t, key", "any, any", "The next key in order, and its value.")               \
    X(PURE, "null", VALUE, "any", "JSON's null inside lists and maps; at the top it is nil.")    \
    X(PURE, "pairs", "t", "function", "for key, value in pairs(t), in key order.")               \
    X(PURE, "pcall", "f, ...", "boolean, any", "Calls f; false and the message where it fails.") \
    X(PURE, "rawequal", "a, b", "boolean", "Equality without metamethods.")                      \
    X(PURE, "rawget", "t, key", "any", "A field without metamethods.")                           \
    X(PURE, "rawlen", "t", "integer", "A length without metamethods.")                           \
    X(PURE, "rawset", "t, key, value", "table", "Sets a field without metamethods.")             \
    X(PURE, "select", "n, ...", "any", "The arguments from the n-th on; '#': how many.")         \
    X(PURE, "setmetatable", "t, metatable", "table", "Without __gc, __close and __mode.")        \
    X(PURE, "tonumber", "value, base", "number|nil", "The number that a text says.")             \
    X(PURE, "tostring", "value", "string", "A value as text; never an address.")                 \
    X(PURE, "type", "value", "string", "nil, null, boolean, number, string, table or function.") \
    X(PURE, "xpcall", "f, handler, ...", "boolean, any", "pcall with a handler of messages.")

#define LUA_NAMES_MATH(X)                                                             \
    X(PURE, "math.abs", "x", "number", "The absolute value.")                         \
    X(PURE, "math.acos", "x", "number", "The arc cosine.")                            \
    X(PURE, "math.asin", "x", "number", "The arc sine.")                              \
    X(PURE, "math.atan", "y, x", "number", "The arc tangent of y/x.")                 \
    X(PURE, "math.ceil", "x", "integer", "The least integer not below x.")            \
    X(PURE, "math.cos", "x", "number", "The cosine.")                                 \
    X(PURE, "math.deg", "x", "number", "Radians to degrees.")                         \
    X(PURE, "math.exp", "x", "number", "e to the power of x.")                        \
    X(PURE, "math.floor", "x", "integer", "The greatest integer not above x.")        \
    X(PURE, "math.fmod", "x, y", "number", "The remainder, rounded towards zero.")    \
    X(PURE, "math.huge", VALUE, "number", "Infinity.")                                \
    X(PURE, "math.log", "x, base", "number", "The logarithm; base e without one.")    \
    X(PURE, "math.max", "x, ...", "number", "The greatest argument.")                 \
    X(PURE, "math.maxinteger", VALUE, "integer", "The greatest integer.")             \
    X(PURE, "math.min", "x, ...", "number", "The least argument.")                    \
    X(PURE, "math.mininteger", VALUE, "integer", "The least integer.")                \
    X(PURE, "math.modf", "x", "number, number", "The whole part and the rest.")       \
    X(PURE, "math.pi", VALUE, "number", "Pi.")                                        \
    X(PURE, "math.rad", "x", "number", "Degrees to radians.")                         \
    X(PURE, "math.sin", "x", "number", "The sine.")                                   \
    X(PURE, "math.sqrt", "x", "number", "The square root.")                           \
    X(PURE, "math.tan", "x", "number", "The tangent.")                                \
    X(PURE, "math.tointeger", "x", "integer|nil", "x as an integer where it is one.") \
    X(PURE, "math.type", "x", "string|nil", "integer or float.")                      \
    X(PURE, "math.ult", "m, n", "boolean", "m < n as unsigned integers.")             \
    X(ACTING, "math.random", "m, n", "number", "A random number.")                    \
    X(ACTING, "math.randomseed", "x, y", "integer, integer", "Seeds math.random.")

#define LUA_NAMES_STRING(X)                                                                   \
    X(PURE, "string.byte", "s, i, j", "integer", "The bytes from i to j.")                    \
    X(PURE, "string.char", "...", "string", "The text of these bytes.")                       \
    X(PURE, "string.find", "s, pattern, init, plain", "integer|nil, integer, any",            \
      "Where a pattern matches first, and its captures.")                                     \
    X(PURE, "string.format", "format, ...", "string", "As printf; without %p.")               \
    X(PURE, "string.gmatch", "s, pattern, init", "function", "An iterator over the matches.") \
    X(PURE, "string.gsub", "s, pattern, repl, n", "string, integer", "Replaces matches.")     \
    X(PURE, "string.len", "s", "integer", "Its bytes.")                                       \
    X(PURE, "string.lower", "s", "string", "In lower case.")                                  \
    X(PURE, "string.match", "s, pattern, init", "any", "The captures of the first match.")    \
    X(PURE, "string.pack", "format, ...", "string", "Values as binary text.")                 \
    X(PURE, "string.packsize", "format", "integer", "The length of what pack gives.")         \
    X(PURE, "string.rep", "s, n, sep", "string", "n times the text.")                         \
    X(PURE, "string.reverse", "s", "string", "Backwards.")                                    \
    X(PURE, "string.sub", "s, i, j", "string", "A part.")                                     \
    X(PURE, "string.unpack", "format, s, pos", "any", "The values of binary text.")           \
    X(PURE, "string.upper", "s", "string", "In upper case.")                                  \
    X(PURE, "utf8.char", "...", "string", "The text of these characters.")                    \
    X(PURE, "utf8.charpattern", VALUE, "string", "Matches one character.")                    \
    X(PURE, "utf8.codepoint", "s, i, j, lax", "integer", "The characters from i to j.")       \
    X(PURE, "utf8.codes", "s, lax", "function", "for place, character in utf8.codes(s).")     \
    X(PURE, "utf8.len", "s, i, j, lax", "integer|nil, integer", "How many characters.")       \
    X(PURE, "utf8.offset", "s, n, i", "integer", "Where the n-th character begins.")

#define LUA_NAMES_TABLE(X)                                                                         \
    X(PURE, "table.concat", "list, sep, i, j", "string", "The items as one text.")                 \
    X(PURE, "table.insert", "list, pos, value", "nil", "Puts in a value, at the end without pos.") \
    X(PURE, "table.move", "a, f, e, t, b", "table", "Copies a[f..e] to b[t..].")                   \
    X(PURE, "table.pack", "...", "table", "A list with n.")                                        \
    X(PURE, "table.remove", "list, pos", "any", "Takes out a value, the last without pos.")        \
    X(PURE, "table.sort", "list, before", "nil", "Sorts in place; stable.")                        \
    X(PURE, "table.unpack", "list, i, j", "any", "The items as values.")

#define LUA_NAMES_ACTING(X)                                                                   \
    X(ACTING, "canceled", "", "boolean", "Whether the task is to end.")                       \
    X(ACTING, "fail", "reason", "nil", "Ends the task as failed.")                            \
    X(ACTING, "flush", "", "nil", "Makes what was set in share durable and visible at once.") \
    X(ACTING, "heartbeat", "", "nil", "A sign of life, for a task with heartbeat.")           \
    X(ACTING, "lock", "name, wait, ttl", "integer|nil",                                       \
      "Takes a lock: its fencing number; nil: another has it.")                               \
    X(ACTING, "log", "...", "nil", "A line for the task's log.")                              \
    X(ACTING, "now", "", "integer", "Unix time in milliseconds.")                             \
    X(ACTING, "print", "...", "nil", "A line for the task's log.")                            \
    X(ACTING, "progress", "fraction, note", "nil", "How far the task is, from 0 to 1.")       \
    X(ACTING, "sleep", "duration", "nil", "Waits: milliseconds, or a text as 10s.")           \
    X(ACTING, "trace", "...", "nil", "A line for the task's traces.")                         \
    X(ACTING, "unlock", "name", "boolean", "Lets a lock go; whether it was still held.")

#define LUA_NAMES(X)    \
    LUA_NAMES_BASE(X)   \
    LUA_NAMES_MATH(X)   \
    LUA_NAMES_STRING(X) \
    LUA_NAMES_TABLE(X)  \
    LUA_NAMES_ACTING(X)

#endif
