#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What walkout needs from Debian beside Python: `sh deploy/system-packages.sh demo` or `... test`.
# As root it is installed; otherwise one line says what to type. What cannot be done without ends with 2; what else is
# missing only leaves out tests, which then skip and say so.
set -u
needed="" useful=""
library() { ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p 2>/dev/null | grep -q "$1"; }
library libGL.so.1 || needed="$needed libgl1"             # OpenCV, Panda3D
library libglib-2.0.so.0 || needed="$needed libglib2.0-0" # OpenCV
library libxcb.so.1 || needed="$needed libxcb1"           # OpenCV
library libX11.so.6 || needed="$needed libx11-6"          # Panda3D's software renderer
library libEGL.so.1 || useful="$useful libegl1 libgl1-mesa-dri"
python3 -c 'import ensurepip' 2>/dev/null || needed="$needed python3-venv"
if [ "${1:-demo}" = test ]; then
    command -v java >/dev/null 2>&1 || useful="$useful openjdk-17-jre-headless"
    command -v mvn >/dev/null 2>&1 || useful="$useful maven"
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || useful="$useful postgresql"
    command -v chromium >/dev/null 2>&1 || useful="$useful chromium"
    command -v go >/dev/null 2>&1 || useful="$useful golang-go"
fi
[ -n "$needed$useful" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$needed$useful"
    # shellcheck disable=SC2086
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $needed $useful >/dev/null
    then exit 0; fi
    echo "could not install:$needed$useful"
else
    echo "to have everything: sudo apt-get install$needed$useful"
    [ -z "$useful" ] || echo "without$useful: the simulator draws in software, and the tests that need the rest are left out"
fi
[ -z "$needed" ] || exit 2
