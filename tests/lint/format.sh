#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Goal: all C code is laid out by .clang-format. Method: clang-format in its dry mode.
# `./dev check --fix` lays it out. usage: format.sh ROOT (exit 77 without clang-format)
cd "$1" || exit 1
command -v clang-format >/dev/null || { echo "no clang-format: skipped"; exit 77; }
files=$(find core lua sdk plugins tests examples -name '*.[ch]' 2>/dev/null)
[ -n "$files" ] || { echo "no C file was found"; exit 1; }
# shellcheck disable=SC2086 # no file name has a blank
clang-format --dry-run -Werror --ferror-limit=3 $files
