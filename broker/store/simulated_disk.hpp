#pragma once

#include "broker/store/choices.hpp"
#include "broker/store/disk.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// A disk in memory that does whatever a real one may do at its worst, and the same again for the same seed.
//
//     simulated_disk medium({.seed = 7});
//     auto opened = open_log(medium.attach(), ...);
//     ... append, flush ...
//     medium.finish(1);                             // one of the operations under way ends; poll() brings it
//     simulated_disk found(medium.crash(fate), {}); // what the machine finds when it is switched on again
//     simulated_disk left = medium.kill(fate);      // what the next process finds when this one has been killed
//
// What has been submitted and not finished is on its way: a crash drops it, applies it whole, or any of its
// sectors, each operation for itself. What was not submitted never happens. Names are on their way until
// sync_folder(). A write that failed stays on its way for as long as its process.

namespace linnet::store {

enum class disk_lie : std::uint8_t {
    none,
    writes,  // says that they are done, and may lose them in a crash nevertheless
    names,   // the same of sync_folder() and prepare()
};

// What a write leaves that was made to fail.
enum class failed_write : std::uint8_t {
    unsure,  // any part of it on the medium; readers see what was there before: O_DSYNC's error
    // Nothing on the medium, though every later sync succeeds; readers see it until the next attach(): a page cache
    // after fdatasync()'s error.
    remembered,
    believed,  // the same, and nobody is told: what a log would have that asks again and believes the answer
};

struct simulation {
    std::uint64_t seed = 0;  // of the order in which operations finish
    std::uint64_t capacity_bytes = std::numeric_limits<std::uint64_t>::max();
    // What is submitted is finished by the next poll(); else when finish() or wait() says.
    bool prompt = false;
    disk_lie lie = disk_lie::none;
};

// The files of a folder, byte by byte: tests damage and shorten them as they like.
using disk_image = std::map<std::string, std::vector<std::uint8_t>, std::less<>>;

struct simulated_state;

// The medium. Outlives what is attached to it.
//
// Threads: one.
// Fails:   as fail_at() says. A buffer that changes while it is being written, two writes to the same block
//          together, and whatever else disk.hpp forbids, are our mistakes: asserted.
class simulated_disk {
public:
    static constexpr std::size_t sector = 512;  // written whole or not at all

    explicit simulated_disk(const simulation& how = {});
    simulated_disk(disk_image content, const simulation& how);
    ~simulated_disk();
    simulated_disk(simulated_disk&&) noexcept;
    simulated_disk& operator=(simulated_disk&&) noexcept;

    // One at a time: what was attached before is cut off, its operations under way are as in a crash.
    [[nodiscard]] std::unique_ptr<disk> attach();

    // ---- Time ----------------------------------------------------------------------------------
    // Submitted and not finished.
    [[nodiscard]] std::size_t under_way() const;
    // So many of them finish, in any order; less when there are fewer.
    void finish(std::size_t count);
    void finish_all();
    // That one, counted in the order of submission.
    void finish_one(std::size_t index);
    // As simulation::prompt.
    void set_prompt(bool prompt);

    // ---- Trouble -------------------------------------------------------------------------------
    // Operations that may fail so far: calls that return a result, and those under way, counted where they end.
    [[nodiscard]] std::uint64_t operations() const;
    // Was any made to fail?
    [[nodiscard]] bool failed() const;
    // The operation so many further on fails (1: the next one), or all from that one on. 0: none any more.
    void fail_at(std::uint64_t nth, int error);
    void fail_from(std::uint64_t nth, int error);
    // The write so many further on fails (1: the next one), and no other operation. 0: none any more.
    void fail_write_at(std::uint64_t nth, int error, failed_write leaves);
    void set_capacity(std::uint64_t bytes);

    // ---- Ends ----------------------------------------------------------------------------------
    // What would be found after a crash here and now. Changes nothing: ask for as many ways as you like.
    [[nodiscard]] disk_image crash(choices& fate) const;
    [[nodiscard]] disk_image crash(std::uint64_t seed) const;
    // What the next process finds when this one alone has ended: of what was under way some has been done, all of it
    // or nothing of an operation, and none of that is certain before it is synced; of a write that failed any part.
    [[nodiscard]] simulated_disk kill(std::uint64_t seed) const;
    // What a reader finds now: only what has finished.
    [[nodiscard]] disk_image snapshot() const;

private:
    std::shared_ptr<simulated_state> state_;
};

}  // namespace linnet::store
