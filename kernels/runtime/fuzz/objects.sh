# For the build scripts of fuzzers: `main` says libfuzzer or replay. Sets CXX, link and objects, and
# defines `compile SOURCE...`, which compiles into $out what is of this machine.
if [ "$main" = replay ]; then
    CXX=${CXX:-c++}
    link=("$runtime/fuzz/replay.cpp")
    cover=()
else
    CXX=${CXX:-$(command -v clang++-19 || command -v clang++ || true)}
    link=(-fsanitize=fuzzer)
    cover=(-fsanitize=fuzzer-no-link)
fi
if ! command -v "$CXX" >/dev/null; then
    echo "clang with libFuzzer is missing: apt-get install clang-19 libclang-rt-19-dev" >&2
    exit 1
fi
flags+=(-std=c++17 -O1 -g1 -w -ffp-contract=off -pthread "-I$runtime/include"
    -fsanitize=address,undefined -fno-sanitize-recover=all)
machine=$(uname -m)
objects=()

compile() {
    local source name extra
    for source in "$@"; do
        name=$(basename "$source" .cpp)
        extra=()
        case "$machine $name" in
            "x86_64 kernels_avx2") extra=(-mavx2 -mfma) ;;
            "x86_64 kernels_avxvnni") extra=(-mavx2 -mfma -mavxvnni) ;;
            "x86_64 kernels_avx512") extra=(-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl) ;;
            "x86_64 kernels_avx512vnni")
                extra=(-mavx2 -mfma -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni) ;;
            "aarch64 kernels_neondot") extra=(-march=armv8.2-a+dotprod) ;;
            "aarch64 kernels_neoni8mm") extra=(-march=armv8.2-a+dotprod+i8mm) ;;
            "aarch64 kernels_neon" | *" kernels_portable") ;;
            *" kernels_"*) continue ;; # of another machine
        esac
        "$CXX" "${flags[@]}" "${cover[@]}" "${extra[@]}" -c "$source" -o "$out/$name.o" &
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
        objects+=("$out/$name.o")
    done
    while [ "$(jobs -rp | wc -l)" -ge 1 ]; do wait -n; done
}
