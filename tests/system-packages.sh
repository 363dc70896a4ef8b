#!/bin/sh
# SPDX-License-Identifier: AGPL-3.0-or-later
# What the integration tests need from the system: as root on Debian it is installed, otherwise the line to type is
# printed, with the tests that are left out meanwhile. Never fails: a test whose part is missing skips and says so.
set -u
missing=""
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need java openjdk-17-jre-headless
need mvn maven
ldconfig -p 2>/dev/null | grep -q libEGL.so.1 || missing="$missing libegl1 libgl1-mesa-dri"
ldconfig -p 2>/dev/null | grep -q libGL.so.1 || missing="$missing libgl1"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    # shellcheck disable=SC2086
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null \
        || echo "could not install:$missing; tests that need them are left out"
else
    echo "left out meanwhile: the Kafka tests (without Java or Maven); the simulator draws more slowly without EGL"
    echo "to run everything: sudo apt-get install$missing"
fi
exit 0
