#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""What `meson install` leaves is all that a program needs.

Goal: the installed headers, library and pkg-config file are enough to build and run a program in C
and in C++, with gcc and clang; the library shows its own names alone, and takes nothing of the
program's. Method: one install into the case's folder, found by pkg-config alone; what the library
imports and exports is read with nm and readelf.
"""
import glob
import os
import re
import shutil
import subprocess

from harness import BUILD, EXAMPLES, TIMEOUT, Skip, equal, has, main

# Calls that change what belongs to the program, or speak for it. `abort` and `fprintf` to stderr are
# those of a failed assertion (docs/embedding.md, "What is never done").
NEVER = set(
    """_exit _Exit exit quick_exit atexit signal sigaction sigprocmask raise setenv unsetenv putenv clearenv chdir fchdir
    printf puts putchar fputs fputc putc fwrite perror vprintf dprintf system daemon fork vfork setlocale umask setpgid
    setsid setrlimit prctl setuid seteuid setgid dlclose srand rand tzset""".split())


def tool(name):
    if shutil.which(name) is None:
        raise Skip(f"no {name}")
    return name


def run(args, env=None, cwd=None):
    done = subprocess.run(args, env=env, cwd=cwd, check=False, capture_output=True, encoding="utf-8", timeout=4 * TIMEOUT)
    assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def install(case):
    """The folder into which all was installed, and an environment whose pkg-config knows it alone."""
    destination = case.path("installed")
    run([tool("meson"), "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", destination])
    files = [os.path.join(where, name) for where, _, names in os.walk(destination) for name in names]
    config = [path for path in files if path.endswith("/millrace.pc")]
    equal(len(config), 1)
    env = dict(case.env, PKG_CONFIG_LIBDIR=os.path.dirname(config[0]), PKG_CONFIG_SYSROOT_DIR=destination)
    library = [path for path in files if re.search(r"/libmillrace\.so\.\d+\.\d+\.\d+$", path)]
    equal(len(library), 1)
    env["LD_LIBRARY_PATH"] = os.path.dirname(library[0])
    return destination, env, library[0]


def flags(env):
    """Those of pkg-config; the static libraries' names behind them are the linker's business."""
    asked = run([tool("pkg-config"), "--cflags", "--libs", "millrace"], env).split()
    assert any(flag.startswith("-I") for flag in asked) and "-lmillrace" in asked, asked
    return asked


def plugins(env):
    found = glob.glob(os.path.join(os.path.dirname(env["LD_LIBRARY_PATH"]), "**", "noop.so"), recursive=True)
    equal(len(found), 1)
    return os.path.dirname(found[0])


def test_programs_in_c_and_cpp(case):
    _, env, _ = install(case)
    for number, (compiler, source) in enumerate([
            (["gcc", "-std=c11"], "embed/embed.c"), (["clang", "-std=c11"], "embed/embed.c"),
            (["g++", "-std=c++17"], "embed-cpp/embed.cpp"), (["clang++", "-std=c++17"], "embed-cpp/embed.cpp")]):
        program, store = case.path(f"program{number}"), case.path(f"store{number}")
        case.stores.append(store)
        run([tool(compiler[0]), *compiler[1:], "-Wall", "-Wextra", "-Wno-missing-field-initializers",
             "-Wno-unused-parameter", "-Werror", os.path.join(EXAMPLES, source), "-o", program, *flags(env)], env)
        arguments = [store] if source.endswith("cpp") else [os.path.join(EXAMPLES, "hello.yaml"), store, plugins(env)]
        equal(run([program, *arguments], env, case.work), "success\n")


def test_the_program_did_not_find_its_library(case):
    """In a prefix that the linker does not know, and without a word to it."""
    destination, _, _ = install(case)
    program = glob.glob(os.path.join(destination, "**", "bin", "millrace"), recursive=True)
    equal(len(program), 1)
    has(run([program[0], "version"], {"PATH": os.environ["PATH"]}), "millrace ")


def test_embed_uv_builds_outside(case):
    _, env, _ = install(case)
    # Its libuv is the system's: its own pkg-config file says where.
    uv = run([tool("pkg-config"), "--cflags", "--libs", "libuv"]).split()
    program = case.path("program")
    run([tool("cc"), os.path.join(EXAMPLES, "embed-uv/embed_uv.c"), "-o", program, *flags(env), *uv], env)
    has(run([program, case.store], env, case.work), '"status":"success"')


def test_static_library(case):
    """Whoever links it asks for what it needs, and gets a program that needs no libmillrace.so."""
    _, env, library = install(case)
    asked = run([tool("pkg-config"), "--static", "--cflags", "--libs", "millrace"], env).split()
    archive = os.path.join(os.path.dirname(library), "libmillrace.a")
    program = case.path("program")
    run([tool("cc"), os.path.join(EXAMPLES, "embed/embed.c"), "-o", program,
         *(archive if flag == "-lmillrace" else flag for flag in asked)], env)
    assert "libmillrace" not in run([tool("readelf"), "-d", program])
    equal(run([program, os.path.join(EXAMPLES, "hello.yaml"), case.store, plugins(env)], env, case.work), "success\n")


def test_headers_alone(case):
    destination, env, _ = install(case)
    headers = glob.glob(os.path.join(destination, "**", "millrace", "*.h"), recursive=True)
    equal(sorted(os.path.basename(path) for path in headers), ["engine.h", "plugin.h", "status.h", "value.h"])
    include = [flag for flag in flags(env) if flag.startswith("-I")]
    for header in headers:
        source = case.path("alone.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write(f"#include <millrace/{os.path.basename(header)}>\n")
        for compiler, language, standard in (("gcc", "c", "c11"), ("clang", "c", "c11"), ("g++", "c++", "c++17"),
                                             ("clang++", "c++", "c++17")):
            run([tool(compiler), "-x", language, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror",
                 *include, "-fsyntax-only", source], env)


def test_names(case):
    destination, _, library = install(case)
    exported = [line.split()[-1] for line in run([tool("nm"), "-D", "--defined-only", library]).splitlines()]
    with open(glob.glob(os.path.join(destination, "**", "engine.h"), recursive=True)[0], encoding="utf-8") as file:
        declared = set(re.findall(r"^MR_API [\w *]*?\b(mr_\w+)\(", file.read(), re.M))
    equal({name for name in exported if name != "MILLRACE_0"}, {f"{name}@@MILLRACE_0" for name in declared})
    has(run([tool("readelf"), "-d", library]), "Library soname: [libmillrace.so.0]")
    undefined = run(["nm", "-D", "--undefined-only", library])
    imported = {line.split()[-1].split("@")[0] for line in undefined.splitlines()}
    assert "pthread_create" in imported, "nm was read wrong"
    if "__asan_init" in imported or "__tsan_init" in imported:
        raise Skip("a sanitizer's names are there too")
    equal(imported & NEVER, set())


if __name__ == "__main__":
    main()
