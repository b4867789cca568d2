/* A plug-in of qemu's that writes down samples of what a program executes: benchmarks/arm64.py.
 *
 *     qemu-aarch64 -plugin executed_blocks.so,out=FILE,start=N,period=N,length=N PROGRAM
 *
 * From the start-th instruction on, of each `period` instructions `length` in a row: a line for
 * each block with its address and its number of instructions, "-" after each sample, and "total N"
 * at the end. The functions declared are those of qemu's plug-in interface, version 1. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb*, void (*)(unsigned, void*), int,
                                          void*);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb*);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct block {
    uint64_t address, instructions;
};

static FILE* out;
static uint64_t executed, next, period, length, left;

static void on_execution(unsigned cpu, void* data) {
    const struct block* block = data;
    (void)cpu;
    if (left == 0 && executed >= next) {
        next += period;
        left = length;
    }
    executed += block->instructions;
    if (left == 0) return;
    fprintf(out, "%" PRIx64 " %" PRIu64 "\n", block->address, block->instructions);
    left = left > block->instructions ? left - block->instructions : 0;
    if (left == 0) fprintf(out, "-\n");
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
    struct block* block = malloc(sizeof *block); /* lives as long as qemu does */
    (void)id;
    if (block == NULL) abort();
    block->address = qemu_plugin_tb_vaddr(tb);
    block->instructions = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execution, 0, block);
}

static void on_exit_(qemu_plugin_id_t id, void* data) {
    (void)id;
    (void)data;
    fprintf(out, "total %" PRIu64 "\n", executed);
    fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const void* info, int argc,
                                                               char** argv) {
    (void)info;
    for (int i = 0; i < argc; ++i) {
        const char* value = strchr(argv[i], '=');
        if (value == NULL) return 1;
        ++value;
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(value, "w");
        if (strncmp(argv[i], "start=", 6) == 0) next = strtoull(value, NULL, 10);
        if (strncmp(argv[i], "period=", 7) == 0) period = strtoull(value, NULL, 10);
        if (strncmp(argv[i], "length=", 7) == 0) length = strtoull(value, NULL, 10);
    }
    if (out == NULL || period == 0 || length == 0) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}
