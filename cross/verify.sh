#!/bin/sh
# Will this program start on the box?  cross/verify.sh FILE
# Reads the ELF file, runs nothing. Tells every fault, then ends with 1 if there was one.
set -eu

# Ubuntu 22.04 under JetPack 6 is the oldest system we go to.
glibc_max=2.35
glibcxx_max=3.4.30
# What every such system has (libgomp1 is the one package to name in an image). Anything else must be a decision.
allowed="ld-linux-aarch64.so.1 libc.so.6 libgcc_s.so.1 libgomp.so.1 libm.so.6 libstdc++.so.6"

[ $# = 1 ] || { echo "usage: cross/verify.sh FILE" >&2; exit 2; }
file=$1
faults=0
fault() { echo "verify: $file: $*" >&2; faults=$((faults + 1)); }

# Highest version of the symbol family $1 that the file asks for, e.g. 2.34 of GLIBC_; empty if none.
highest() {
    readelf --wide --version-info "$file" | grep -o "Name: $1_[0-9.]*" | sed "s/.*_//" | sort -V | tail -n 1
}
at_most() {
    found=$(highest "$1")
    echo "$1 ${found:-none} (at most $2)"
    [ "$(printf '%s\n%s\n' "$found" "$2" | sort -V | tail -n 1)" = "$2" ] || fault "needs $1_$found"
}

head=$(readelf --wide --file-header "$file" 2>/dev/null) || { fault "is no ELF file"; exit 1; }
echo "$head" | grep -q "Machine: *AArch64" || fault "is not for AArch64"
echo "$head" | grep -q "Type: *DYN" || fault "is not position-independent, so it is loaded at a known address"

dynamic=$(readelf --wide --dynamic "$file")
needed=$(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
echo "NEEDED" "$(echo "$needed" | xargs)"
[ -n "$needed" ] || fault "needs no library at all: not the program we mean"
for library in $needed; do
    case " $allowed " in *" $library "*) ;; *) fault "needs $library" ;; esac
done
# A search path would name a folder of the machine that built it.
if echo "$dynamic" | grep -E '\((RPATH|RUNPATH)\)' >&2; then fault "carries a library search path"; fi
at_most GLIBC "$glibc_max"
at_most GLIBCXX "$glibcxx_max"

[ "$faults" = 0 ] || exit 1
echo "$file: fits"
