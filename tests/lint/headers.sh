#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Goal: each header can be included alone. Method: compile a file with that one line, without a
# warning: the public headers as C11 and C++17 with gcc and clang and with all language extensions
# refused, the internal ones as C11 with gcc.
#
# usage: headers.sh ROOT; needs gcc, g++, clang and clang++ (exit 77 where one is missing)
set -u
root=$1
failed=0
count=0

for compiler in gcc g++ clang clang++; do
  command -v "$compiler" >/dev/null || { echo "no $compiler: skipped"; exit 77; }
done

# try COMPILER LANGUAGE STANDARD HEADER MORE…: one compile
try() {
  compiler=$1 language=$2 standard=$3 header=$4
  shift 4
  count=$((count + 1))
  printf '#include <%s>\n' "$header" |
    "$compiler" -x "$language" "-std=$standard" -Wall -Wextra -Wshadow -Wpointer-arith \
      -Wno-unused-parameter -Wno-missing-field-initializers -Werror "$@" \
      -I"$root/sdk/include" -I"$root" -fsyntax-only - ||
    { echo "FAILED: $header as $standard with $compiler"; failed=$((failed + 1)); }
}

cd "$root/sdk/include" || exit 1
for header in millrace/*.h; do
  try gcc c c11 "$header" -pedantic -Wstrict-prototypes
  try clang c c11 "$header" -pedantic -Wstrict-prototypes
  try g++ c++ c++17 "$header" -pedantic
  try clang++ c++ c++17 "$header" -pedantic
done

cd "$root" || exit 1
lua=$(pkg-config --cflags lua5.4)
for header in $(find core lua sdk/cli plugins -name '*.h' 2>/dev/null | sort); do
  # shellcheck disable=SC2086 # several flags, or none
  try gcc c c11 "$header" -D_GNU_SOURCE $lua
done

echo "$count compiles, $failed failed"
[ "$failed" -eq 0 ] && [ "$count" -gt 16 ]
