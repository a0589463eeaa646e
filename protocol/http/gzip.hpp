// Compresses the bodies of large answers (gzip, RFC 1952), piece by piece.
//
// Threads: one at a time.
// Owns:    zlib's state, some 256 KiB: worth having while an answer is written, not beyond.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace linnet::http {

class gzip_writer {
public:
    gzip_writer();
    gzip_writer(const gzip_writer&) = delete;
    gzip_writer& operator=(const gzip_writer&) = delete;
    ~gzip_writer();

    // Appends to `out` what has become of the text so far; often nothing yet.
    void add(std::string_view text, std::string& out);
    // The rest. Nothing may be added after it.
    void finish(std::string& out);

private:
    struct stream;
    void run(int flush, std::string& out);

    std::unique_ptr<stream> stream_;
};

// All of it at once.
[[nodiscard]] std::string gzipped(std::string_view text);

}  // namespace linnet::http
