#pragma once

#include "broker/base/result.hpp"
#include "broker/core/log.hpp"
#include "broker/store/aligned_buffer.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/segment.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace linnet::store {

// The files of a log: segments in a row, and spares that wait to become the next ones.
//
// A file stands under a segment's name only once its header is on the disk: a spare gets the header, then the name.
// Spares are made, filled with zeros, in the background as soon as half of the newest segment is used, or are dropped
// segments under a new name. There is always to be one segment ahead and one spare in reserve: what they hold is the
// room that settlements and deletions still have when the disk is full.
//
// Threads: one.
// Fails:   no room: full(), tried again by retry(). Anything else: failure().
class segment_chain {
public:
    struct identity {
        std::uint64_t store_id = 0;
        std::uint32_t log_number = 0;
        std::uint64_t epoch = 1;
    };
    struct spare {
        std::string name;
        file_id file = 0;
    };
    // Completions of these tags are the chain's; what else is under way uses others.
    static constexpr std::uint64_t header_tag = std::uint64_t{1} << 62;
    static constexpr std::uint64_t prepare_tag = header_tag + 1;
    static constexpr std::size_t spares_max = 2;

    segment_chain(disk& d, const segment_geometry& g, const identity& who, std::deque<segment> segments,
                  std::vector<spare> spares);

    // The segment of that number, none below and none ahead of what there is.
    [[nodiscard]] const segment* find(std::uint64_t number) const noexcept;
    [[nodiscard]] segment* find(std::uint64_t number) noexcept;
    // The same, for writing: it and those before it are to be made.
    segment& want(std::uint64_t number);
    // Begins what is to be done next, when writing has come to `end`.
    void advance(core::log_position end);
    void on_header_written(int error);
    void on_prepared(int error);
    // Nothing below that segment is wanted. Its files go one by one, in order: step by step with drop_one().
    void drop_below(std::uint64_t number) noexcept;
    [[nodiscard]] bool dropping() const noexcept;
    // All of them stay where they are until further notice: somebody copies them.
    void hold(bool all) noexcept { held_ = all; }
    void drop_one();
    // Everything below that segment is written.
    void seal_below(std::uint64_t number);
    // What failed for lack of space may be tried again.
    void retry() noexcept { making_waits_ = naming_waits_ = false; }

    [[nodiscard]] std::uint64_t oldest() const noexcept { return keep_from_; }
    [[nodiscard]] bool empty() const noexcept { return segments_.empty(); }
    // Of those whose files are there; the chain must not be empty.
    [[nodiscard]] std::uint64_t first() const noexcept { return segments_.front().number; }
    [[nodiscard]] bool busy() const noexcept { return heading_ || preparing_; }
    [[nodiscard]] bool blocked() const noexcept { return making_waits_ || naming_waits_; }
    [[nodiscard]] bool full() const noexcept { return full_; }
    // Writing has come so near to the end of what is ready that the next spare is waited for: if there turns out to be
    // no room for it, what is left must be enough for what makes room.
    [[nodiscard]] bool runs_short(core::log_position end) const noexcept;
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

private:
    [[nodiscard]] segment* first_unready() noexcept;
    void head(segment& s);
    void make_spare();
    void note(const disk_error& e);
    // Lack of space only makes it wait.
    void note(const disk_error& e, bool& waits);
    void put_into_service();

    // Constant after construction.
    disk& disk_;
    const segment_geometry geometry_;
    const identity who_;

    std::deque<segment> segments_;  // consecutive numbers; those not ready are the newest
    std::vector<spare> spares_;
    std::uint64_t next_spare_ = 0;
    std::uint64_t keep_from_;     // segments below are being dropped
    std::uint64_t sealed_below_;  // those below are
    std::string preparing_name_;
    aligned_buffer header_;
    std::uint64_t heading_number_ = 0;
    bool heading_ = false;    // the header of the first segment that is not ready is being written, into spares_.back()
    bool preparing_ = false;  // a spare is being made
    bool held_ = false;       // nothing is dropped
    // For lack of space, until retry():
    bool unopened_ = false;      // the one named so is made, and could not be opened
    bool making_waits_ = false;  // of spares; those there are can be used
    bool naming_waits_ = false;  // even that could not be done
    bool full_ = false;
    std::string failure_;
};

}  // namespace linnet::store
