#!/bin/sh
# Run Debian 12's own Python 3.11 and NumPy 1.24, as Raspberry Pi OS has them, for an Arm processor,
# under emulation:
#
#     tests/pi/userland.sh arm64|armhf PYTHON-ARGUMENTS...
#
# The first call fetches the packages (a minute) into ~/.cache/minikws-userland, or MINIKWS_USERLAND.
# Nothing is installed on this machine. Needs Debian 12 with apt, dpkg-deb and qemu-user-static
# (apt install qemu-user-static). Exit code 77: this machine cannot, and says why.
#
# Python runs in the emulator, but what Python starts would run without it, and does not start.
set -eu

cannot() {
    echo "no Arm userland: $1" >&2
    exit 77
}

arch=$1
shift
case $arch in
arm64) emulator=qemu-aarch64-static libraries=usr/lib/aarch64-linux-gnu ;;
armhf) emulator=qemu-arm-static libraries=usr/lib/arm-linux-gnueabihf ;;
*) cannot "the architecture $arch is unknown; arm64 and armhf are known" ;;
esac
sources=/etc/apt/sources.list.d/debian.sources

for tool in "$emulator" apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || cannot "$tool is missing"
done

home=${MINIKWS_USERLAND:-$HOME/.cache/minikws-userland}/$arch
if [ ! -e "$home/complete" ]; then
    grep -q '^VERSION_CODENAME=bookworm' /etc/os-release && [ -e $sources ] ||
        cannot "the packages are taken from Debian 12's sources, and this is another system"
    rm -rf "$home"
    mkdir -p "$home/lists/partial" "$home/cache/archives/partial" "$home/sources" "$home/root"
    : >"$home/status"
    # of the first entry: the second, with security updates, may be of another day
    awk 'BEGIN { RS = "" } NR == 1' $sources >"$home/sources/debian.sources"
    apt() {
        apt-get -qq -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" \
            -o APT::Install-Recommends=false -o APT::Sandbox::User="$(id -un)" \
            -o "Dir::State::Lists=$home/lists" -o "Dir::State::status=$home/status" \
            -o "Dir::Cache=$home/cache" -o Dir::Etc::sourcelist=/dev/null \
            -o "Dir::Etc::sourceparts=$home/sources" "$@" >>"$home/log" 2>&1 ||
            cannot "apt could not fetch the packages: $(tail -n 1 "$home/log")"
    }
    apt update
    apt install -y --download-only python3-minimal python3-numpy libc-bin
    for package in "$home"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$home/root"
    done
    rm -r "$home/cache" "$home/lists"
    touch "$home/complete"
fi

folder=$home/root/$libraries
exec "$emulator" -L "$home/root" -E "LD_LIBRARY_PATH=$folder/blas:$folder/lapack" \
    ${PYTHONPATH:+-E "PYTHONPATH=$PYTHONPATH"} "$home/root/usr/bin/python3.11" "$@"
