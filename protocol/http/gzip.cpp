#include "protocol/http/gzip.hpp"

#include "protocol/wire/check.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>

namespace linnet::http {
namespace {

// Listings repeat themselves: the first levels find nearly all of it in a third of the default's time.
constexpr int level = 3;
constexpr int window_bits = 15 + 16;  // 16: with gzip's head and tail
constexpr int memory_level = 8;
constexpr std::size_t step_bytes = 16 * 1024;

}  // namespace

struct gzip_writer::stream {
    z_stream z{};
};

gzip_writer::gzip_writer() : stream_{std::make_unique<stream>()} {
    if (deflateInit2(&stream_->z, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc{};
}

gzip_writer::~gzip_writer() { deflateEnd(&stream_->z); }

void gzip_writer::add(std::string_view text, std::string& out) {
    while (!text.empty()) {
        const std::size_t size = std::min<std::size_t>(text.size(), std::numeric_limits<uInt>::max() / 2);
        stream_->z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib reads only
        stream_->z.avail_in = static_cast<uInt>(size);
        run(Z_NO_FLUSH, out);
        text.remove_prefix(size);
    }
}

void gzip_writer::finish(std::string& out) { run(Z_FINISH, out); }

void gzip_writer::run(int flush, std::string& out) {
    z_stream& z = stream_->z;
    do {
        const std::size_t before = out.size();
        out.resize(before + step_bytes);
        z.next_out = reinterpret_cast<Bytef*>(out.data() + before);
        z.avail_out = static_cast<uInt>(step_bytes);
        const int status = ::deflate(&z, flush);
        LINNET_WIRE_CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
        static_cast<void>(status);
        out.resize(before + step_bytes - z.avail_out);
    } while (z.avail_out == 0);
}

std::string gzipped(std::string_view text) {
    std::string out;
    gzip_writer to;
    to.add(text, out);
    to.finish(out);
    return out;
}

}  // namespace linnet::http
