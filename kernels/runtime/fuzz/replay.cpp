// Runs a fuzz target over files and folders, without libFuzzer: `replay PATH...`. Tests run the
// corpus through it under the sanitizers wherever there is a compiler.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// The file and every beginning of it: what a connection that breaks leaves behind.
static void run_file(const std::string& path) {
    FILE* file = fopen(path.c_str(), "rb");
    if (file == nullptr) {
        fprintf(stderr, "replay: cannot read %s\n", path.c_str());
        exit(2);
    }
    std::string bytes;
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) != 0;) bytes.append(part, n);
    fclose(file);
    const uint8_t* const data = reinterpret_cast<const uint8_t*>(bytes.data());
    LLVMFuzzerTestOneInput(data, bytes.size());
    for (size_t size = 0; size < bytes.size(); ++size) LLVMFuzzerTestOneInput(data, size);
}

static int run(const std::string& path) {
    struct stat info;
    if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
        int files = 0;
        DIR* folder = opendir(path.c_str());
        if (folder == nullptr) return 0;
        while (const dirent* entry = readdir(folder))
            if (entry->d_name[0] != '.') files += run(path + "/" + entry->d_name);
        closedir(folder);
        return files;
    }
    run_file(path);
    return 1;
}

int main(int argc, char** argv) {
    int files = 0;
    for (int i = 1; i < argc; ++i) files += run(argv[i]);
    printf("%d files ok\n", files);
    return files == 0;
}
