// Part of every 64-bit Arm processor.
#if defined(__aarch64__)
#include "kernels_neon.cpp"
#endif
