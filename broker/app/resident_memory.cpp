#include "broker/app/resident_memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace linnet::app {
namespace {

// Only segments that are never written, not even by the dynamic linker (its relocations lie in writable ones, which
// it protects later): their pages are the file's.
int release_constants(dl_phdr_info* object, std::size_t, void*) noexcept {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (std::size_t i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) {
            continue;
        }
        const auto from = (object->dlpi_addr + segment.p_vaddr + page - 1) / page * page;
        const auto to = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
        if (from < to) {
            // Refused (locked pages, say): they stay.
            static_cast<void>(::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED));
        }
    }
    return 0;
}

}  // namespace

// The second number of /proc/self/statm is resident pages.
std::uint64_t resident_bytes() noexcept {
    std::uint64_t whole = 0;
    std::uint64_t resident = 0;
    if (std::FILE* f = std::fopen("/proc/self/statm", "re")) {
        if (std::fscanf(f, "%lu %lu", &whole, &resident) != 2) {
            resident = 0;
        }
        std::fclose(f);
    }
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void release_heap() noexcept { static_cast<void>(::malloc_trim(0)); }

void release_start_memory() noexcept {
    release_heap();
    ::dl_iterate_phdr(release_constants, nullptr);
}

}  // namespace linnet::app
