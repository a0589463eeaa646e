// Makes allocations of a process fail. Preloaded (LD_PRELOAD), it shares a page with the test that is named by
// $STARVE_PAGE: how many there were, which are to fail, whether any did. Whatever comes by malloc and its kin, C++'s
// new, OpenSSL's and zlib's memory included, and by pages without a file.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

// As starved_test.py has it.
struct page {
    std::atomic<std::uint64_t> asked;
    std::atomic<std::uint64_t> first;  // those from `first` to `last` fail, counted from 1; 0: none
    std::atomic<std::uint64_t> last;
    std::atomic<std::uint64_t> failed;
};

std::atomic<page*> shared{nullptr};

void* map(void* at, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
    return reinterpret_cast<void*>(::syscall(SYS_mmap, at, bytes, protection, flags, fd, offset));
}

[[gnu::constructor]] void begin() {
    const char* const name = std::getenv("STARVE_PAGE");
    const int fd = name == nullptr ? -1 : ::open(name, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void* const memory = map(nullptr, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (memory != MAP_FAILED) {
        shared.store(static_cast<page*>(memory));
    }
}

bool refused() {
    page* const p = shared.load(std::memory_order_relaxed);
    if (p == nullptr) {
        return false;
    }
    const auto nth = p->asked.fetch_add(1) + 1;
    const auto first = p->first.load();
    if (first == 0 || nth < first || nth > p->last.load()) {
        return false;
    }
    p->failed.fetch_add(1);
    errno = ENOMEM;
    return true;
}

}  // namespace

extern "C" {

// glibc's own, which have no header.
void* __libc_malloc(std::size_t bytes);                           // NOLINT(bugprone-reserved-identifier)
void* __libc_calloc(std::size_t count, std::size_t bytes);        // NOLINT(bugprone-reserved-identifier)
void* __libc_realloc(void* memory, std::size_t bytes);            // NOLINT(bugprone-reserved-identifier)
void* __libc_memalign(std::size_t alignment, std::size_t bytes);  // NOLINT(bugprone-reserved-identifier)

void* malloc(std::size_t bytes) { return refused() ? nullptr : __libc_malloc(bytes); }
void* calloc(std::size_t count, std::size_t bytes) { return refused() ? nullptr : __libc_calloc(count, bytes); }
void* realloc(void* memory, std::size_t bytes) { return refused() ? nullptr : __libc_realloc(memory, bytes); }
void* memalign(std::size_t alignment, std::size_t bytes) {
    return refused() ? nullptr : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
    void* const got = memalign(alignment, bytes);
    if (got == nullptr) {
        return ENOMEM;
    }
    *memory = got;
    return 0;
}
void* mmap(void* at, std::size_t bytes, int protection, int flags, int fd, off_t offset) {
    const bool memory = (flags & MAP_ANONYMOUS) != 0;
    return memory && refused() ? MAP_FAILED : map(at, bytes, protection, flags, fd, offset);
}
}
