// What the core needs of a C library, so that the module imports nothing: it is compiled against
// wasi-libc's headers, and linked with this.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

extern "C" {

// With bulk memory these three compile to one instruction each, not to calls of themselves.
void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
    return __builtin_memcpy(to, from, size);
}
void* memmove(void* to, const void* from, size_t size) {
    return __builtin_memmove(to, from, size);
}
void* memset(void* to, int value, size_t size) {
    return __builtin_memset(to, value, size);
}

int memcmp(const void* left, const void* right, size_t size) {
    const unsigned char* a = static_cast<const unsigned char*>(left);
    const unsigned char* b = static_cast<const unsigned char*>(right);
    for (size_t i = 0; i < size; ++i)
        if (a[i] != b[i]) return a[i] - b[i];
    return 0;
}

int strcmp(const char* a, const char* b) {
    while (*a != 0 && *a == *b) ++a, ++b;
    return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
}

size_t strlen(const char* text) {
    const char* end = text;
    while (*end != 0) ++end;
    return size_t(end - text);
}

// The page decides how many workers there are.
long sysconf(int) {
    return 1;
}

// Weight scales ask for eighths in 0 ... 1 only; the series is exact to a double's last bits there.
double exp2(double x) {
    const double y = x * 0.69314718055994530942;
    double sum = 1;
    for (int i = 24; i > 0; --i) sum = 1 + sum * y / i;
    return sum;
}

// As C's ldexpf: rounds once, to subnormals too, because the product is a double's.
float ldexpf(float x, int exponent) {
    const int e = exponent < -400 ? -400 : exponent > 400 ? 400 : exponent;
    const uint64_t bits = uint64_t(e + 1023) << 52;
    double power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return float(x * power);
}

}  // extern "C"
