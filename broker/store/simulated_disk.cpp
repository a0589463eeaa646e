#include "broker/store/simulated_disk.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

namespace linnet::store {

namespace {

using bytes = std::vector<std::uint8_t>;
using inode_number = std::uint32_t;

struct inode {
    bytes live;  // what reads see
    // What survives for certain, where that is something else: under disk_lie::writes, and what a killed process left.
    bytes stable;
};

enum class operation_kind : std::uint8_t { write, read, prepare };

struct operation {
    operation_kind kind = operation_kind::write;
    inode_number file = 0;
    std::uint64_t offset = 0;
    std::span<const std::uint8_t> from;
    bytes copy;  // of `from`: so that a crash needs no buffers of the dead, and a changed one is noticed
    std::span<std::uint8_t> into;
    std::string name;
    std::uint64_t size = 0;
    std::uint64_t tag = 0;
};

struct placed_bytes {
    inode_number file = 0;
    std::uint64_t offset = 0;
    bytes content;
};

auto place(bytes& in, std::uint64_t offset) { return in.begin() + static_cast<std::ptrdiff_t>(offset); }

// Takes out what lies in [from, to) of the file.
void cut(std::vector<placed_bytes>& all, inode_number file, std::uint64_t from, std::uint64_t to) {
    for (placed_bytes& w : std::exchange(all, {})) {
        const std::uint64_t end = w.offset + w.content.size();
        if (w.file != file || end <= from || to <= w.offset) {
            all.push_back(std::move(w));
            continue;
        }
        if (w.offset < from) {
            all.push_back({file, w.offset, {w.content.begin(), place(w.content, from - w.offset)}});
        }
        if (to < end) {
            all.push_back({file, to, {place(w.content, to - w.offset), w.content.end()}});
        }
    }
}

struct name_change {
    std::string before;  // empty: created
    std::string after;   // empty: removed
    inode_number file = 0;
};

using folder = std::map<std::string, inode_number, std::less<>>;

void change_names(folder& names, const name_change& c) {
    if (!c.before.empty()) {
        const auto at = names.find(c.before);
        if (at == names.end() || at->second != c.file) {
            return;  // what it builds on did not happen
        }
        names.erase(at);
    }
    if (!c.after.empty()) {
        names.insert_or_assign(c.after, c.file);
    }
}

void leave(bytes& content, const placed_bytes& w, choices& fate) {
    enum : std::uint8_t { dropped, whole, torn };
    const std::size_t outcome = fate.among(3);
    for (std::size_t at = 0; at < w.content.size(); at += simulated_disk::sector) {
        if (outcome == whole || (outcome == torn && fate.yes())) {
            const std::size_t n = std::min(simulated_disk::sector, w.content.size() - at);
            std::copy_n(w.content.begin() + static_cast<std::ptrdiff_t>(at), n,
                        content.begin() + static_cast<std::ptrdiff_t>(w.offset + at));
        }
    }
}

bool overlap(const operation& a, const operation& b) {
    return a.file == b.file && a.offset < b.offset + b.copy.size() && b.offset < a.offset + a.copy.size();
}

}  // namespace

struct simulated_state {
    explicit simulated_state(const simulation& s) : how(s), order(s.seed) {}

    simulation how;
    random_choices order;
    std::vector<inode> inodes;
    folder names;    // as seen now
    folder durable;  // as of the last sync
    std::vector<name_change> unsynced;
    // What a crash may drop, apply or tear, neither stable nor under way: lies, failures, operations cut off.
    std::vector<placed_bytes> unsure;
    std::vector<placed_bytes> forgotten;  // what the medium has where readers see a write that failed

    std::uint64_t attached = 0;  // grows with each attach(): older disks are cut off
    std::vector<operation> gathered;
    std::vector<operation> under_way;
    std::vector<completion> finished;

    std::uint64_t counted = 0;
    std::uint64_t fail_first = 0;
    std::uint64_t fail_last = 0;
    int fail_with = 0;
    bool failed = false;
    std::uint64_t writes = 0;
    std::uint64_t failing_write = 0;
    int write_error = 0;
    failed_write leaves = failed_write::unsure;

    // The errno of this operation; 0: it succeeds.
    int count() {
        ++counted;
        if (counted < fail_first || counted > fail_last) {
            return 0;
        }
        failed = true;
        return fail_with;
    }

    std::uint64_t used() const {
        std::uint64_t sum = 0;
        for (const auto& [name, file] : names) {
            sum += inodes[file].live.size();
        }
        return sum;
    }

    bool fits(std::uint64_t size) const { return used() + size <= how.capacity_bytes; }

    inode_number add_inode(bytes content) {
        inode i;
        if (how.lie == disk_lie::writes) {
            i.stable = content;
        }
        i.live = std::move(content);
        inodes.push_back(std::move(i));
        return static_cast<inode_number>(inodes.size() - 1);
    }

    void change(name_change c) {
        change_names(names, c);
        unsynced.push_back(std::move(c));
    }

    void sync_names() {
        if (how.lie != disk_lie::names) {
            durable = names;
            unsynced.clear();
        }
    }

    // Returns what an operating system would.
    int add_file(std::string_view name, std::uint64_t size) {
        if (names.contains(name)) {
            return EEXIST;
        }
        if (!fits(size)) {
            return ENOSPC;
        }
        change({{}, std::string(name), add_inode(bytes(size))});
        return 0;
    }

    void store(inode_number file, std::uint64_t offset, const bytes& content) {
        std::copy(content.begin(), content.end(), inodes[file].live.begin() + static_cast<std::ptrdiff_t>(offset));
        if (how.lie == disk_lie::writes) {
            unsure.push_back({file, offset, content});
            return;
        }
        if (bytes& stable = inodes[file].stable; !stable.empty()) {
            std::copy(content.begin(), content.end(), stable.begin() + static_cast<std::ptrdiff_t>(offset));
        }
        // There is something certain now: what was unsure before cannot come back.
        cut(unsure, file, offset, offset + content.size());
        cut(forgotten, file, offset, offset + content.size());
    }

    // Readers see it, the medium keeps what it has.
    void remember(const operation& o) {
        inode& i = inodes[o.file];
        bytes& medium = i.stable.empty() ? i.live : i.stable;
        cut(forgotten, o.file, o.offset, o.offset + o.copy.size());
        forgotten.push_back({o.file, o.offset, {place(medium, o.offset), place(medium, o.offset + o.copy.size())}});
        std::ranges::copy(o.copy, place(i.live, o.offset));
    }

    // As it is on the medium, of which readers may see more.
    bytes medium_of(inode_number file) const {
        bytes content = inodes[file].stable.empty() ? inodes[file].live : inodes[file].stable;
        for (const placed_bytes& w : forgotten) {
            if (w.file == file) {
                std::ranges::copy(w.content, place(content, w.offset));
            }
        }
        return content;
    }

    // What was only remembered is no more.
    void reread() {
        for (const placed_bytes& w : std::exchange(forgotten, {})) {
            std::ranges::copy(w.content, place(inodes[w.file].live, w.offset));
        }
    }

    // Of a write that failed there is by now what there is, and whoever reads it next can build on that. A lie is not
    // found out before the machine stops.
    void settle_failed(choices& fate) {
        for (placed_bytes& w : std::exchange(unsure, {})) {
            inode& i = inodes[w.file];
            if (how.lie == disk_lie::writes || !i.stable.empty()) {
                unsure.push_back(std::move(w));
            } else {
                leave(i.live, w, fate);
            }
        }
    }

    int fail_write(operation& o) {
        failed = true;
        if (leaves == failed_write::unsure) {
            unsure.push_back({o.file, o.offset, std::move(o.copy)});
        } else {
            remember(o);
        }
        return leaves == failed_write::believed ? 0 : write_error;
    }

    void sync(inode_number file) {
        if (how.lie != disk_lie::writes) {
            inodes[file].stable.clear();
        }
    }

    // The write has reached those who read, and not the medium.
    void show(const operation& o) {
        inode& i = inodes[o.file];
        if (i.stable.empty()) {
            i.stable = i.live;
        }
        std::copy(o.copy.begin(), o.copy.end(), i.live.begin() + static_cast<std::ptrdiff_t>(o.offset));
        unsure.push_back({o.file, o.offset, o.copy});
    }

    int load(inode_number file, std::uint64_t offset, std::span<std::uint8_t> into) const {
        const bytes& content = inodes[file].live;
        if (offset + into.size() > content.size()) {
            return ENODATA;
        }
        std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
        return 0;
    }

    int carry_out(operation& o) {
        const int error = count();
        switch (o.kind) {
            case operation_kind::write:
                LINNET_ASSERT(std::ranges::equal(o.from, o.copy), "a buffer has changed while it was being written");
                if (error != 0) {
                    unsure.push_back({o.file, o.offset, std::move(o.copy)});
                    return error;
                }
                if (++writes == failing_write) {
                    return fail_write(o);
                }
                store(o.file, o.offset, o.copy);
                return 0;
            case operation_kind::read: return error != 0 ? error : load(o.file, o.offset, o.into);
            case operation_kind::prepare:
                if (error != 0) {
                    return error;
                }
                if (const int refused = add_file(o.name, o.size); refused != 0) {
                    return refused;
                }
                sync_names();
                return 0;
        }
        return EINVAL;
    }

    void finish(std::size_t index) {
        operation o = std::move(under_way[index]);
        under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(index));
        finished.push_back({o.tag, carry_out(o)});
    }

    void cut_off() {
        for (operation& o : under_way) {
            if (o.kind == operation_kind::write) {
                unsure.push_back({o.file, o.offset, std::move(o.copy)});
            }
        }
        gathered.clear();
        under_way.clear();
        finished.clear();
    }
};

namespace {

class attached_disk final : public disk {
public:
    explicit attached_disk(std::shared_ptr<simulated_state> s) : state_(std::move(s)), epoch_(++state_->attached) {}
    attached_disk(const attached_disk&) = delete;
    attached_disk& operator=(const attached_disk&) = delete;
    ~attached_disk() override {
        if (epoch_ == state_->attached) {
            state_->cut_off();
        }
    }

    disk_result<std::vector<std::string>> list() override {
        if (const int error = count(); error != 0) {
            return fail(disk_error{error, "list the folder"});
        }
        std::vector<std::string> all;
        for (const auto& [name, file] : state_->names) {
            all.push_back(name);
        }
        return all;
    }

    disk_result<file_id> create(std::string_view name, std::uint64_t size) override {
        int error = count();
        if (error == 0) {
            error = state_->add_file(name, size);
        }
        if (error != 0) {
            return fail(disk_error{error, "create " + std::string(name)});
        }
        return handle(name);
    }

    disk_result<file_id> open(std::string_view name) override {
        int error = count();
        if (error == 0 && !state_->names.contains(name)) {
            error = ENOENT;
        }
        if (error != 0) {
            return fail(disk_error{error, "open " + std::string(name)});
        }
        return handle(name);
    }

    disk_result<std::uint64_t> size(file_id f) override {
        if (const int error = count(); error != 0) {
            return fail(disk_error{error, "size of a file"});
        }
        return state_->inodes[file(f)].live.size();
    }

    void close(file_id f) override {
        const inode_number number = file(f);
        const auto uses = [&](const operation& o) { return o.kind != operation_kind::prepare && o.file == number; };
        LINNET_ASSERT(std::ranges::none_of(state_->gathered, uses) && std::ranges::none_of(state_->under_way, uses),
                      "a file is closed while something is under way");
        open_[f].reset();
    }

    void seal(file_id f) override {
        const inode_number number = file(f);
        const auto writes = [&](const operation& o) { return o.kind == operation_kind::write && o.file == number; };
        LINNET_ASSERT(std::ranges::none_of(state_->gathered, writes) && std::ranges::none_of(state_->under_way, writes),
                      "a file is sealed while something is written to it");
    }

    disk_result<void> rename(std::string_view from, std::string_view to) override {
        int error = count();
        const auto at = state_->names.find(from);
        if (error == 0 && at == state_->names.end()) {
            error = ENOENT;
        } else if (error == 0 && state_->names.contains(to)) {
            error = EEXIST;
        }
        if (error != 0) {
            return fail(disk_error{error, "rename " + std::string(from) + " to " + std::string(to)});
        }
        state_->change({std::string(from), std::string(to), at->second});
        return {};
    }

    disk_result<void> remove(std::string_view name) override {
        int error = count();
        const auto at = state_->names.find(name);
        if (error == 0 && at == state_->names.end()) {
            error = ENOENT;
        }
        if (error != 0) {
            return fail(disk_error{error, "remove " + std::string(name)});
        }
        state_->change({std::string(name), {}, at->second});
        return {};
    }

    disk_result<void> sync_folder() override {
        if (const int error = count(); error != 0) {
            return fail(disk_error{error, "sync the folder"});
        }
        state_->sync_names();
        return {};
    }

    disk_result<void> read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) override {
        check(offset, into);
        int error = count();
        if (error == 0) {
            error = state_->load(file(f), offset, into);
        }
        if (error != 0) {
            return fail(disk_error{error, "read"});
        }
        return {};
    }

    disk_result<void> write_now(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from) override {
        operation o = make_write(f, offset, from, 0);
        if (const int error = epoch_ == state_->attached ? state_->carry_out(o) : ENODEV; error != 0) {
            return fail(disk_error{error, "write"});
        }
        return {};
    }

    disk_result<void> sync_now(file_id f) override {
        if (const int error = count(); error != 0) {
            return fail(disk_error{error, "sync"});
        }
        state_->sync(file(f));
        return {};
    }

    disk_result<std::uint64_t> free_bytes() override {
        if (const int error = count(); error != 0) {
            return fail(disk_error{error, "ask for free space"});
        }
        const std::uint64_t used = state_->used();
        return state_->how.capacity_bytes - std::min(used, state_->how.capacity_bytes);
    }

    void write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) override {
        add(make_write(f, offset, from, tag));
    }

    void read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) override {
        check(offset, into);
        operation o;
        o.kind = operation_kind::read;
        o.file = file(f);
        o.offset = offset;
        o.into = into;
        o.tag = tag;
        add(std::move(o));
    }

    void prepare(std::string name, std::uint64_t size, std::uint64_t tag) override {
        operation o;
        o.kind = operation_kind::prepare;
        o.name = std::move(name);
        o.size = size;
        o.tag = tag;
        add(std::move(o));
    }

    void submit() override {
        if (epoch_ != state_->attached) {
            return;
        }
        std::ranges::move(state_->gathered, std::back_inserter(state_->under_way));
        state_->gathered.clear();
    }

    std::size_t poll(std::span<completion> into) override {
        if (epoch_ != state_->attached) {
            return 0;
        }
        if (state_->how.prompt) {
            finish_some(state_->under_way.size());
        }
        const std::size_t n = std::min(into.size(), state_->finished.size());
        const auto end = state_->finished.begin() + static_cast<std::ptrdiff_t>(n);
        std::copy(state_->finished.begin(), end, into.begin());
        state_->finished.erase(state_->finished.begin(), end);
        return n;
    }

    void wait() override {
        submit();
        if (epoch_ == state_->attached && state_->finished.empty()) {
            LINNET_ASSERT(!state_->under_way.empty(), "waiting for nothing");
            finish_some(1);
        }
    }

    void wake_through(int) override {}  // whoever steps the simulation polls

    std::string describe() const override { return "simulated"; }

private:
    int count() { return epoch_ == state_->attached ? state_->count() : ENODEV; }

    file_id handle(std::string_view name) {
        open_.emplace_back(state_->names.find(name)->second);
        return static_cast<file_id>(open_.size() - 1);
    }

    inode_number file(file_id f) const {
        LINNET_ASSERT(f < open_.size() && open_[f].has_value(), "file {} is not open", f);
        return *open_[f];
    }

    static void check(std::uint64_t offset, std::span<const std::uint8_t> buffer) {
        LINNET_ASSERT(offset % block == 0 && buffer.size() % block == 0 &&
                          reinterpret_cast<std::uintptr_t>(buffer.data()) % block == 0,
                      "not in blocks: offset {}, {} bytes", offset, buffer.size());
    }

    operation make_write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) const {
        check(offset, from);
        operation o;
        o.file = file(f);
        o.offset = offset;
        o.from = from;
        o.copy.assign(from.begin(), from.end());
        o.tag = tag;
        const std::uint64_t size = state_->inodes[o.file].live.size();
        LINNET_ASSERT(offset + from.size() <= size, "a write to {} beyond the end at {}", offset, size);
        return o;
    }

    void add(operation o) {
        if (epoch_ != state_->attached) {
            return;
        }
        const auto clash = [&](const operation& other) {
            return o.kind == operation_kind::write && other.kind == operation_kind::write && overlap(o, other);
        };
        LINNET_ASSERT(std::ranges::none_of(state_->gathered, clash) && std::ranges::none_of(state_->under_way, clash),
                      "two writes to one block together, at {}", o.offset);
        state_->gathered.push_back(std::move(o));
    }

    void finish_some(std::size_t n) {
        for (; n > 0 && !state_->under_way.empty(); --n) {
            state_->finish(state_->order.among(state_->under_way.size()));
        }
    }

    std::shared_ptr<simulated_state> state_;
    std::uint64_t epoch_;
    std::vector<std::optional<inode_number>> open_;
};

}  // namespace

simulated_disk::simulated_disk(const simulation& how) : state_(std::make_shared<simulated_state>(how)) {}

simulated_disk::simulated_disk(disk_image content, const simulation& how) : simulated_disk(how) {
    for (auto& [name, data] : std::exchange(content, {})) {
        state_->names.emplace(name, state_->add_inode(std::move(data)));
    }
    state_->durable = state_->names;
}

simulated_disk::~simulated_disk() = default;
simulated_disk::simulated_disk(simulated_disk&&) noexcept = default;
simulated_disk& simulated_disk::operator=(simulated_disk&&) noexcept = default;

std::unique_ptr<disk> simulated_disk::attach() {
    state_->cut_off();
    state_->reread();
    return std::make_unique<attached_disk>(state_);
}

std::size_t simulated_disk::under_way() const { return state_->under_way.size(); }

void simulated_disk::finish(std::size_t count) {
    for (; count > 0 && !state_->under_way.empty(); --count) {
        state_->finish(state_->order.among(state_->under_way.size()));
    }
}

void simulated_disk::finish_all() { finish(state_->under_way.size()); }

void simulated_disk::finish_one(std::size_t index) {
    LINNET_ASSERT(index < state_->under_way.size(), "{} of {}", index, state_->under_way.size());
    state_->finish(index);
}

void simulated_disk::set_prompt(bool prompt) { state_->how.prompt = prompt; }

std::uint64_t simulated_disk::operations() const { return state_->counted; }

bool simulated_disk::failed() const { return state_->failed; }

void simulated_disk::fail_at(std::uint64_t nth, int error) {
    state_->fail_first = nth == 0 ? 0 : state_->counted + nth;
    state_->fail_last = state_->fail_first;
    state_->fail_with = error;
    state_->failed = false;
}

void simulated_disk::fail_from(std::uint64_t nth, int error) {
    fail_at(nth, error);
    if (nth != 0) {
        state_->fail_last = std::numeric_limits<std::uint64_t>::max();
    }
}

void simulated_disk::fail_write_at(std::uint64_t nth, int error, failed_write leaves) {
    state_->failing_write = nth == 0 ? 0 : state_->writes + nth;
    state_->write_error = error;
    state_->leaves = leaves;
    state_->failed = false;
}

void simulated_disk::set_capacity(std::uint64_t bytes) { state_->how.capacity_bytes = bytes; }

disk_image simulated_disk::crash(choices& fate) const {
    folder names = state_->durable;
    for (const name_change& c : state_->unsynced) {
        if (fate.yes()) {
            change_names(names, c);
        }
    }
    std::map<inode_number, bytes*> found;
    disk_image image;
    for (const auto& [name, file] : names) {
        found[file] = &image.emplace(name, state_->medium_of(file)).first->second;
    }
    const auto maybe = [&](const placed_bytes& w) {
        if (const auto at = found.find(w.file); at != found.end()) {
            leave(*at->second, w, fate);
        }
    };
    std::ranges::for_each(state_->unsure, maybe);
    for (const operation& o : state_->under_way) {
        switch (o.kind) {
            case operation_kind::write: maybe({o.file, o.offset, o.copy}); break;
            case operation_kind::prepare:
                if (!image.contains(o.name) && fate.yes()) {
                    image.emplace(o.name, bytes(o.size));
                }
                break;
            case operation_kind::read: break;
        }
    }
    return image;
}

disk_image simulated_disk::crash(std::uint64_t seed) const {
    random_choices fate(seed);
    return crash(fate);
}

simulated_disk simulated_disk::kill(std::uint64_t seed) const {
    random_choices fate(seed);
    simulated_disk left(state_->how);
    simulated_state& s = *left.state_;
    s.inodes = state_->inodes;
    s.names = state_->names;
    s.durable = state_->durable;
    s.unsynced = state_->unsynced;
    s.unsure = state_->unsure;
    s.forgotten = state_->forgotten;
    s.settle_failed(fate);
    for (const operation& o : state_->under_way) {
        if (o.kind == operation_kind::write && fate.yes()) {
            s.show(o);
        } else if (o.kind == operation_kind::prepare && fate.yes()) {
            static_cast<void>(s.add_file(o.name, o.size));
        }
    }
    return left;
}

disk_image simulated_disk::snapshot() const {
    disk_image image;
    for (const auto& [name, file] : state_->names) {
        image.emplace(name, state_->inodes[file].live);
    }
    return image;
}

}  // namespace linnet::store
