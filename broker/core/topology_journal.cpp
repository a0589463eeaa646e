#include "broker/core/topology_journal.hpp"

#include "broker/core/topology_editor.hpp"
#include "broker/core/value_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace linnet::core {

namespace {

// A queue's name carries the log's epoch above, so that none is used again although a crash may have lost the record
// of the last ones: 2^36 queues an opening, 2^27 openings below the bit of fleeting owners.
constexpr unsigned epoch_shift = 36;

// A log below this is not worth rewriting.
constexpr std::uint64_t small_log_bytes = std::uint64_t{1} << 20;
constexpr std::uint64_t growth_max = 4;

// What a record takes beside arguments: names of 255 bytes at most, and some integers.
constexpr std::size_t record_frame_bytes = 2048;

constexpr std::array vhost_kinds{topology_record::permission, topology_record::topic_permission,
                                 topology_record::policy,     topology_record::parameter,
                                 topology_record::exchange,   topology_record::queue,
                                 topology_record::binding,    topology_record::vhost_limits};

[[nodiscard]] bool is_durable(const definition& d) noexcept {
    if (const auto* x = std::get_if<exchange_definition>(&d)) {
        return x->durable;
    }
    if (const auto* q = std::get_if<queue_definition>(&d)) {
        return q->durable;
    }
    const auto* b = std::get_if<binding_definition>(&d);
    return b == nullptr || b->durable;
}

}  // namespace

// ---- Replay --------------------------------------------------------------------------------------

bool topology_replay::add(const log_record& r) {
    if (r.kind == static_cast<std::uint8_t>(topology_record::rewrite_begins)) {
        next_.clear();
        rewriting_ = true;
        return true;
    }
    if (r.kind == static_cast<std::uint8_t>(topology_record::rewrite_ends)) {
        if (rewriting_) {
            now_ = std::exchange(next_, {});
            rewriting_ = false;
        }
        return true;
    }
    auto read = decode_definition(r.kind, r.payload);
    if (!read) {
        return false;
    }
    table& t = rewriting_ ? next_ : now_;
    if (read->change == topology_change::removed) {
        t.erase(key_of(read->what));
        if (const auto* v = std::get_if<vhost_definition>(&read->what)) {
            forget_vhost(t, v->name);
        }
        return true;
    }
    if (const auto* q = std::get_if<queue_definition>(&read->what)) {
        last_uid_ = std::max(last_uid_, q->uid);
    }
    t.insert_or_assign(key_of(read->what), std::move(read->what));
    return true;
}

void topology_replay::forget_vhost(table& t, const std::string& name) {
    for (const auto kind : vhost_kinds) {
        const auto prefix = vhost_key_prefix(kind, name);
        auto at = t.lower_bound(prefix);
        while (at != t.end() && at->first.starts_with(prefix)) {
            at = t.erase(at);
        }
    }
}

// ---- Restoring -----------------------------------------------------------------------------------

namespace {

// Builds one definition after the other; what cannot be is remembered in words.
class restorer {
public:
    restorer(topology_editor& editor, const topology_journal::queue_maker& make) : editor_(editor), make_(make) {}

    void operator()(const vhost_definition& d) { static_cast<void>(editor_.add_vhost(d.name, d.number)); }
    void operator()(const policy_definition& d) {
        const auto v = vhost(d.vhost);
        auto done = d.kind == policy_kind::user ? editor_.set_policy(v, d.what)
                                                : editor_.set_operator_policy(v, d.what);
        check(done, fmt::format("policy '{}' in vhost '{}'", d.what.name, d.vhost));
    }
    void operator()(const exchange_definition& d) {
        declare_exchange x;
        x.name = d.name;
        x.type = d.type;
        x.durable = d.durable;
        x.auto_delete = d.auto_delete;
        x.internal = d.internal;
        x.arguments = d.arguments;
        check(editor_.declare_exchange(vhost(d.vhost), x), fmt::format("exchange '{}' in vhost '{}'", d.name, d.vhost));
    }
    void operator()(const queue_definition& d) {
        declare_queue q;
        q.name = d.name;
        q.durable = d.durable;
        q.auto_delete = d.auto_delete;
        q.arguments = d.arguments;
        q.server_named = d.name.starts_with("amq.");
        auto checked = editor_.check_declare_queue(vhost(d.vhost), q, {});
        check(checked, fmt::format("queue '{}' in vhost '{}'", d.name, d.vhost));
        if (auto* spec = checked ? std::get_if<queue_spec>(&*checked) : nullptr) {
            spec->uid = d.uid;
            spec->log = d.log;
            const auto where = make_(*spec);
            editor_.add_queue(std::move(*spec), where);
        }
    }
    void operator()(const binding_definition& d) {
        check(editor_.restore_binding(d),
              fmt::format("binding from '{}' to '{}' in vhost '{}'", d.source, d.destination, d.vhost));
    }
    void operator()(const permission_definition& d) {
        check(editor_.set_permissions(d.user, vhost(d.vhost), d.patterns),
              fmt::format("permission of '{}' in vhost '{}'", d.user, d.vhost));
    }
    void operator()(const topic_permission_definition& d) {
        check(editor_.set_topic_permissions(d.user, vhost(d.vhost), d.exchange, d.patterns),
              fmt::format("topic permission of '{}' in vhost '{}'", d.user, d.vhost));
    }
    void operator()(const vhost_limits_definition& d) {
        check(editor_.set_vhost_limits(vhost(d.vhost), d.limits), fmt::format("limits of vhost '{}'", d.vhost));
    }
    // The journal's own.
    void operator()(const user_definition&) {}
    void operator()(const parameter_definition&) {}
    void operator()(const note_definition&) {}

    [[nodiscard]] std::vector<std::string> take_problems() { return std::move(problems_); }

private:
    [[nodiscard]] vhost_id vhost(const std::string& name) const {
        const auto* v = editor_.view().find_vhost(name);
        return v == nullptr ? vhost_id{} : topology_view::id_of(*v);
    }
    template <class T>
    void check(const outcome<T>& done, std::string what) {
        if (!done) {
            problems_.push_back(fmt::format("{}: {}", what, done.error().text));
        }
    }

    topology_editor& editor_;
    const topology_journal::queue_maker& make_;
    std::vector<std::string> problems_;
};

// The highest number of a vhost that has been deleted.
constexpr std::string_view last_vhost_note = "core.last_vhost";

// Each refers only to kinds before it. Policies come before queues, which then need not be told of them; limits come
// last, for what is there may be more than they allow now.
constexpr std::array build_order{topology_record::vhost,
                                 topology_record::policy,
                                 topology_record::exchange,
                                 topology_record::queue,
                                 topology_record::binding,
                                 topology_record::permission,
                                 topology_record::topic_permission,
                                 topology_record::vhost_limits};

}  // namespace

topology_journal::topology_journal(durable_log* log, topology_replay&& found)
    : log_(log),
      found_(std::move(found)),
      was_empty_(found_.definitions().empty()),
      last_uid_(std::max(found_.last_uid(), log == nullptr ? 0 : log->epoch() << epoch_shift)),
      content_from_(log == nullptr ? 0 : log->begin()),
      must_rewrite_(found_.unfinished()) {
    for (const auto& [key, d] : found_.definitions()) {
        if (const auto* u = std::get_if<user_definition>(&d)) {
            users_.emplace(u->name, *u);
        } else if (const auto* p = std::get_if<parameter_definition>(&d)) {
            parameters_.emplace(key, *p);
        } else if (const auto* n = std::get_if<note_definition>(&d)) {
            notes_.emplace(n->name, n->text);
        }
    }
}

std::uint32_t topology_journal::last_vhost() const noexcept {
    const auto text = note(last_vhost_note);
    std::uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

std::vector<std::string> topology_journal::restore(topology_editor& editor, const queue_maker& make) {
    owner_.check();
    restorer build(editor, make);
    const auto& all = found_.definitions();
    editor.set_last_vhost(last_vhost());
    for (const auto& [key, d] : all) {
        if (const auto* v = std::get_if<vhost_definition>(&d)) {
            editor.set_last_vhost(v->number);
        }
    }
    for (const auto kind : build_order) {
        const char first = static_cast<char>(kind);
        for (auto at = all.lower_bound(std::string_view(&first, 1)); at != all.end() && at->first[0] == first; ++at) {
            std::visit(build, at->second);
        }
    }
    for (const auto& [key, d] : all) {
        bytes_.clear();
        encode(bytes_, topology_change::defined, d);
        content_bytes_ += bytes_.size();
    }
    bytes_.clear();
    found_ = {};
    editor.listen(this);
    return build.take_problems();
}

// ---- Changes -------------------------------------------------------------------------------------

void topology_journal::on_defined(const definition& d) { note_change(topology_change::defined, d); }

void topology_journal::on_removed(const definition& d) {
    if (const auto* v = std::get_if<vhost_definition>(&d)) {
        std::erase_if(parameters_, [&](const auto& p) { return p.second.vhost == v->name; });
        // No other one gets its number, and with it what is still stored under that.
        if (v->number > last_vhost()) {
            set(note_definition{std::string(last_vhost_note), std::to_string(v->number)});
        }
    }
    note_change(topology_change::removed, d);
}

void topology_journal::note_change(topology_change change, const definition& d) {
    owner_.check();
    if (log_ == nullptr || !is_durable(d)) {
        return;
    }
    gathered_.push_back({kind_of(d), bytes_.size()});
    encode(bytes_, change, d);
}

void topology_journal::set(const user_definition& u) {
    const auto [at, fresh] = users_.try_emplace(u.name, u);
    if (fresh || at->second != u) {
        at->second = u;
        note_change(topology_change::defined, u);
    }
}

void topology_journal::set(const parameter_definition& p) {
    const auto [at, fresh] = parameters_.try_emplace(key_of(p), p);
    if (fresh || at->second != p) {
        at->second = p;
        note_change(topology_change::defined, p);
    }
}

void topology_journal::set(const note_definition& n) {
    const auto [at, fresh] = notes_.try_emplace(n.name, n.text);
    if (fresh || at->second != n.text) {
        at->second = n.text;
        note_change(topology_change::defined, n);
    }
}

bool topology_journal::remove_user(std::string_view name) {
    const auto at = users_.find(name);
    if (at == users_.end()) {
        return false;
    }
    note_change(topology_change::removed, at->second);
    users_gone_.push_back(at->first);
    users_.erase(at);
    return true;
}

std::vector<std::string> topology_journal::take_users_gone() {
    auto gone = std::exchange(users_gone_, {});
    std::erase_if(gone, [this](const auto& name) { return users_.contains(name); });
    return gone;
}

bool topology_journal::remove_parameter(const parameter_definition& named) {
    if (parameters_.erase(key_of(named)) == 0) {
        return false;
    }
    note_change(topology_change::removed, named);
    return true;
}

std::string_view topology_journal::note(std::string_view name) const noexcept {
    const auto at = notes_.find(name);
    return at == notes_.end() ? std::string_view{} : at->second;
}

bool topology_journal::fits(const value_table& arguments) const {
    if (log_ == nullptr) {
        return true;
    }
    byte_writer out;
    encode(out, arguments);
    return out.size() + record_frame_bytes <= log_->capabilities().record_bytes_max;
}

bool topology_journal::seal() {
    owner_.check();
    if (gathered_.empty()) {
        return false;
    }
    const auto all = bytes_.bytes();
    for (std::size_t i = 0; i < gathered_.size(); ++i) {
        const bool last = i + 1 == gathered_.size();
        const auto to = last ? all.size() : gathered_[i + 1].from;
        append(static_cast<std::uint8_t>(gathered_[i].kind), last ? 0 : record_flags::more,
               all.subspan(gathered_[i].from, to - gathered_[i].from));
    }
    gathered_.clear();
    bytes_.clear();
    return true;
}

void topology_journal::append(std::uint8_t kind, std::uint8_t flags, std::span<const std::uint8_t> payload) {
    log_->append(kind, flags, {&payload, 1});
}

// ---- Durability ----------------------------------------------------------------------------------

bool topology_journal::poll() {
    owner_.check();
    if (log_ == nullptr || !log_->poll()) {
        return false;
    }
    if (old_ && log_->durable() >= old_->once_durable) {
        log_->drop_before(old_->keep_from);
        old_.reset();
    }
    return true;
}

void topology_journal::flush(const topology_editor& editor) {
    owner_.check();
    if (log_ == nullptr) {
        return;
    }
    if ((must_rewrite_ || outgrown()) && !old_) {
        rewrite(editor);
    }
    log_->flush();
}

void topology_journal::tick(mono_ns now) {
    if (log_ != nullptr) {
        log_->tick(now);
    }
}

bool topology_journal::outgrown() const noexcept {
    return log_->end() - content_from_ > std::max(small_log_bytes, growth_max * content_bytes_);
}

// In one go, so that no change lies between its beginning and its end.
void topology_journal::rewrite(const topology_editor& editor) {
    static_cast<void>(seal());
    const auto from = log_->end();
    append(static_cast<std::uint8_t>(topology_record::rewrite_begins), 0, {});
    describe(editor, [this](const definition& d) { rewrite_one(d); });
    for (const auto& [name, u] : users_) {
        rewrite_one(u);
    }
    for (const auto& [key, p] : parameters_) {
        rewrite_one(p);
    }
    for (const auto& [name, text] : notes_) {
        rewrite_one(note_definition{name, text});
    }
    append(static_cast<std::uint8_t>(topology_record::rewrite_ends), 0, {});
    content_from_ = from;
    content_bytes_ = log_->end() - from;
    old_ = old_content{from, log_->end()};
    must_rewrite_ = false;
}

void topology_journal::rewrite_one(const definition& d) {
    if (is_durable(d)) {
        bytes_.clear();
        encode(bytes_, topology_change::defined, d);
        append(static_cast<std::uint8_t>(kind_of(d)), 0, bytes_.bytes());
        bytes_.clear();
    }
}

}  // namespace linnet::core
