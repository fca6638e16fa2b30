#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Goal: the scripts are sound and the Python files can be read by Python. Method: shellcheck, and a
# compile of each Python file that leaves nothing behind. usage: scripts.sh ROOT
cd "$1" || exit 1
failed=0
find tests examples -name '*.py' -exec python3 -c '
import sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")' {} + || failed=1
command -v shellcheck >/dev/null || { echo "no shellcheck: skipped"; exit 77; }
# shellcheck disable=SC2046 # no file name has a blank
shellcheck --severity=warning dev .ci/run $(find tests examples -name '*.sh') || failed=1
exit $failed
