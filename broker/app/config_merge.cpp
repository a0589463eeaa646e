#include "broker/app/config_merge.hpp"

#include "broker/app/config_schema.hpp"
#include "broker/app/edit_distance.hpp"
#include "broker/app/secret_bytes.hpp"
#include "broker/app/toml_reader.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace linnet::app {
namespace {

namespace fs = std::filesystem;

node text_node(std::string text, position at) { return {std::move(text), std::move(at), /*untyped=*/true}; }

// ---- Laying one tree over another ----------------------------------------------------------------

// The value of an identity key, or its default; nothing when it has neither.
std::optional<std::string> identity_part(const node::table& element, const schema::key& key) {
    if (const auto* e = find(element, key.name)) {
        const auto* text = e->value.as_text();
        return text != nullptr ? std::optional{*text} : std::nullopt;
    }
    if (key.fallback.size() >= 2) {
        return std::string{key.fallback.substr(1, key.fallback.size() - 2)};  // without its quotes
    }
    return std::nullopt;
}

bool same_element(const node::table& a, const node::table& b, const schema::section& section) {
    return !section.identity.empty() && std::ranges::all_of(section.identity, [&](std::string_view name) {
        const auto* key = schema::find_key(section, name);
        const auto left = identity_part(a, *key);
        return left && left == identity_part(b, *key);
    });
}

// What an earlier source said in another way (password and password_file) must not contradict the new value.
void drop_alternatives(node::table& into, const entry& said, const schema::section* section) {
    if (section == nullptr) {
        return;
    }
    std::erase_if(into, [&](const entry& old) {
        if (old.key == said.key || old.at.source == said.at.source) {
            return false;
        }
        const auto stem = [](std::string_view key) { return key.substr(0, key.rfind("_file")); };
        const auto* key = schema::find_key(*section, stem(said.key));
        const bool exclusive = key != nullptr && (key->secret || !key->excludes.empty());
        return exclusive && (stem(old.key) == key->name || old.key == key->excludes ||
                             (!key->excludes.empty() && stem(old.key) == key->excludes));
    });
}

void merge_table(node::table& into, node::table&& from, const schema::section* section);

void merge_elements(node::array& into, node::array&& from, const schema::section& section) {
    const auto earlier = into.size();  // within one source, two of a name are a mistake, not a merge
    for (auto& element : from) {
        auto* table = element.as_table();
        const auto end = into.begin() + static_cast<std::ptrdiff_t>(earlier);
        const auto match = table == nullptr ? end : std::find_if(into.begin(), end, [&](const node& n) {
            const auto* other = n.as_table();
            return other != nullptr && same_element(*other, *table, section);
        });
        if (match != end) {
            merge_table(*match->as_table(), std::move(*table), &section);
        } else {
            into.push_back(std::move(element));
        }
    }
}

// `section` describes the keys of this table; null below the depth that the schema describes.
void merge_table(node::table& into, node::table&& from, const schema::section* section) {
    for (auto& said : from) {
        drop_alternatives(into, said, section);
        auto* old = find(into, said.key);
        if (old == nullptr) {
            into.push_back(std::move(said));
            continue;
        }
        const auto* inner = section != nullptr && section->name.empty() ? schema::find_section(said.key) : nullptr;
        if (old->value.as_array() && said.value.as_array() && inner != nullptr && inner->repeated) {
            merge_elements(*old->value.as_array(), std::move(*said.value.as_array()), *inner);
        } else if (old->value.as_table() && said.value.as_table()) {
            merge_table(*old->value.as_table(), std::move(*said.value.as_table()), inner);
        } else {
            *old = std::move(said);
        }
    }
}

// ---- Paths: LINNET_USER__0__NAME and --set user.0.name -------------------------------------------

using path = std::vector<std::string>;

path split(std::string_view text, std::string_view separator) {
    auto parts = path{};
    for (;;) {
        const auto at = text.find(separator);
        parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + separator.size());
    }
}

bool is_index(std::string_view text) {
    return !text.empty() && text.size() <= 4 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Elements must be made in their order: 2 before 10.
bool path_less(const path& a, const path& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return is_index(x) && is_index(y) ? std::pair{x.size(), x} < std::pair{y.size(), y} : x < y;
    });
}

// Sets one value; an unknown name is left for the check of the whole tree, which knows what was meant.
std::string set_path(node::table& tree, const path& where, node value) {
    auto* table = &tree;
    const auto* section = &schema::sections().front();
    for (std::size_t i = 0; i + 1 < where.size(); ++i) {
        const auto* inner = section != nullptr && section->name.empty() ? schema::find_section(where[i]) : nullptr;
        auto* e = find(*table, where[i]);
        if (e == nullptr) {
            auto empty = inner != nullptr && inner->repeated ? node{node::array{}, value.at}
                                                             : node{node::table{}, value.at};
            e = &table->emplace_back(entry{where[i], value.at, std::move(empty)});
        }
        if (auto* elements = e->value.as_array()) {
            const auto& index = where[++i];
            if (!is_index(index) || i + 1 == where.size()) {
                return fmt::format("\"{0}\" is a list: write {0}.0.<key> for its first element", where[i - 1]);
            }
            const auto n = static_cast<std::size_t>(std::stoul(index));
            if (n > elements->size()) {
                return fmt::format("\"{}\" has {} elements: the next index is {}, not {}", where[i - 1],
                                   elements->size(), elements->size(), n);
            }
            if (n == elements->size()) {
                elements->push_back({node::table{}, value.at});
            }
            table = (*elements)[n].as_table();
        } else {
            if (e->value.as_table() == nullptr) {
                *e = {where[i], value.at, {node::table{}, value.at}};  // `tls = true` becomes a table
            }
            table = e->value.as_table();
        }
        if (table == nullptr) {
            return fmt::format("\"{}\" is not a table", where[i]);
        }
        section = inner;
    }
    auto said = node::table{};
    said.push_back({where.back(), value.at, std::move(value)});
    merge_table(*table, std::move(said), section);
    return {};
}

// ---- Files -----------------------------------------------------------------------------------------

void interpolate_strings(node& n, const environment& variables, std::vector<placed_error>& errors) {
    if (auto* text = std::get_if<std::string>(&n.value)) {
        if (text->find("${") == std::string::npos) {
            return;
        }
        if (auto value = interpolate(*text, variables)) {
            *text = std::move(*value);
            n.untyped = true;
        } else {
            errors.push_back({n.at, value.error()});
        }
    } else if (auto* array = n.as_array()) {
        for (auto& element : *array) {
            interpolate_strings(element, variables, errors);
        }
    } else if (auto* table = n.as_table()) {
        for (auto& e : *table) {
            interpolate_strings(e.value, variables, errors);
        }
    }
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    auto digest = std::array<unsigned char, EVP_MAX_MD_SIZE>{};
    auto length = 0U;
    expect_memory_for(EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) == 1);
    auto hex = std::string{};
    for (std::size_t i = 0; i < length; ++i) {
        hex += fmt::format("{:02x}", digest[i]);
    }
    return hex;
}

namespace {

class merger {
public:
    merger(const config_sources& sources, std::vector<placed_error>& errors)
        : sources_{sources}, variables_{read_environment(sources.environment)}, errors_{errors} {}

    merged_sources run() {
        read_files();
        read_rabbitmq_variables();
        read_linnet_variables();
        read_settings();
        read_listeners();
        out_.digest = "sha256:" + sha256_hex(seen_);
        return std::move(out_);
    }

private:
    void read_files() {
        auto directories = std::vector<fs::path>{};
        for (const auto& file : files()) {
            read(file);
            auto beside = fs::path{file}.parent_path() / "conf.d";
            if (std::ranges::find(directories, beside) == directories.end()) {
                directories.push_back(std::move(beside));
            }
        }
        for (const auto& directory : directories) {
            for (const auto& file : drop_ins(directory)) {
                read(file);
            }
        }
    }

    [[nodiscard]] std::vector<std::string> files() const {
        if (!sources_.files.empty()) {
            return sources_.files;
        }
        auto ignored = std::error_code{};
        for (const auto& candidate : sources_.search) {
            if (fs::exists(candidate, ignored)) {
                return {candidate};
            }
        }
        return {};
    }

    static std::set<std::string> drop_ins(const fs::path& directory) {
        auto found = std::set<std::string>{};
        auto error = std::error_code{};
        for (auto it = fs::directory_iterator{directory, error}; !error && it != fs::directory_iterator{};
             it.increment(error)) {
            if (it->path().extension() == ".toml") {
                found.insert(it->path().string());
            }
        }
        return found;
    }

    void read(const std::string& file) {
        auto why = std::string{};
        const auto text = read_file(file, why);
        if (!text) {
            errors_.push_back({{file}, fmt::format("cannot be read: {}", why)});
            return;
        }
        out_.files.push_back(file);
        seen_ += fmt::format("file {}\n{}\n", file, *text);
        auto parsed = read_toml(*text, file);
        if (!parsed) {
            errors_.push_back({{parsed.error().where}, parsed.error().what});
            return;
        }
        interpolate_strings(*parsed, variables_, errors_);
        merge_table(out_.tree, std::move(*parsed->as_table()), &schema::sections().front());
    }

    // NAME, or the contents of the file that NAME_FILE names: the two forms that container images accept.
    std::optional<std::string> variable_or_file(const std::string& name) {
        if (const auto it = variables_.find(name); it != variables_.end() && !it->second.empty()) {
            return it->second;
        }
        const auto it = variables_.find(name + "_FILE");
        if (it == variables_.end() || it->second.empty()) {
            return std::nullopt;
        }
        auto why = std::string{};
        auto text = read_secret_file(it->second, why);
        if (!text) {
            errors_.push_back({{name + "_FILE"}, fmt::format("\"{}\" cannot be read: {}", it->second, why)});
        }
        return text;
    }

    void lay_over(std::string_view section, std::string_view source,
                  std::initializer_list<std::pair<std::string_view, std::string>> values) {
        const auto at = position{std::string{source}};
        auto element = node{node::table{}, at};
        for (const auto& [key, value] : values) {
            element.as_table()->push_back({std::string{key}, at, text_node(value, at)});
        }
        auto layer = node::table{};
        layer.push_back({std::string{section}, at, {node::array{std::move(element)}, at}});
        merge_table(out_.tree, std::move(layer), &schema::sections().front());
    }

    // RabbitMQ's image makes this user at its first start; compose files and test containers rely on it.
    void read_rabbitmq_variables() {
        const auto user = variable_or_file("RABBITMQ_DEFAULT_USER");
        const auto password = variable_or_file("RABBITMQ_DEFAULT_PASS");
        const auto vhost = variable_or_file("RABBITMQ_DEFAULT_VHOST");
        if (user || password || vhost) {
            lay_over("vhost", "RABBITMQ_DEFAULT_VHOST", {{"name", vhost.value_or("/")}});
        }
        if (user || password) {
            const auto name = user.value_or("guest");
            lay_over("user", "RABBITMQ_DEFAULT_USER",
                     {{"name", name}, {"password", password.value_or("guest")}, {"tags", "administrator"}});
            lay_over(
                "permission", "RABBITMQ_DEFAULT_USER",
                {{"user", name}, {"vhost", vhost.value_or("/")}, {"configure", ".*"}, {"write", ".*"}, {"read", ".*"}});
            seen_ += fmt::format("user {} {}\n", name, password.value_or("guest"));
        }
    }

    void read_linnet_variables() {
        auto found = std::vector<std::pair<path, std::string>>{};  // where to, and the variable's name
        for (const auto& [name, value] : variables_) {
            if (!name.starts_with("LINNET_")) {
                continue;
            }
            auto lower = name.substr(7);
            std::ranges::transform(lower, lower.begin(),
                                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
            if (auto where = split(lower, "__"); where.size() > 1 || is_top_level(lower, name)) {
                found.emplace_back(std::move(where), name);
            }
        }
        std::ranges::sort(found, path_less, &std::pair<path, std::string>::first);
        for (const auto& [where, name] : found) {
            const auto& value = variables_.find(name)->second;
            seen_ += fmt::format("{}={}\n", name, value);
            if (auto error = set_path(out_.tree, where, text_node(value, {name})); !error.empty()) {
                errors_.push_back({{name}, std::move(error)});
            }
        }
    }

    // A Kubernetes service called "linnet" puts LINNET_PORT, LINNET_SERVICE_HOST and more into every pod:
    // a name without "__" that is no key of ours is not an error.
    bool is_top_level(const std::string& lower, const std::string& name) {
        const auto& top = schema::sections().front();
        if (schema::find_key(top, lower) != nullptr) {
            return true;
        }
        auto names = std::vector<std::string_view>{};
        for (const auto& key : top.keys) {
            names.push_back(key.name);
        }
        if (const auto meant = closest(lower, names); !meant.empty()) {
            out_.warnings.push_back(
                fmt::format("{} is ignored; did you mean {}?", name, schema::environment_name(meant)));
        }
        return false;
    }

    void read_settings() {
        for (const auto& setting : sources_.settings) {
            const auto equals = setting.find('=');
            const auto key = setting.substr(0, equals);
            const auto at = position{"--set " + key};
            if (equals == std::string::npos || equals == 0) {
                errors_.push_back({at, "expected key.path=value"});
                continue;
            }
            seen_ += setting + '\n';
            if (auto error = set_path(out_.tree, split(key, "."), text_node(setting.substr(equals + 1), at));
                !error.empty()) {
                errors_.push_back({at, std::move(error)});
            }
        }
    }

    void read_listeners() {
        if (sources_.listeners.empty()) {
            return;
        }
        auto elements = node::array{};
        for (const auto& text : sources_.listeners) {
            const auto at = position{"--listen " + text};
            const auto equals = text.find('=');
            if (equals == std::string::npos) {
                errors_.push_back({at, "expected protocol=address:port, for example amqp=127.0.0.1:5672"});
                continue;
            }
            seen_ += text + '\n';
            elements.push_back({node::table{entry{"protocol", at, text_node(text.substr(0, equals), at)},
                                            entry{"bind", at, text_node(text.substr(equals + 1), at)}},
                                at});
        }
        std::erase_if(out_.tree, [](const entry& e) { return e.key == "listener"; });
        const auto at = position{"--listen"};
        out_.tree.push_back({"listener", at, {std::move(elements), at}});
    }

    const config_sources& sources_;
    environment variables_;
    std::vector<placed_error>& errors_;
    merged_sources out_;
    std::string seen_;  // everything read, for the digest
};

}  // namespace

environment read_environment(const std::vector<std::string>& assignments) {
    auto variables = environment{};
    for (const auto& assignment : assignments) {
        const auto equals = assignment.find('=');
        if (equals != std::string::npos) {
            variables.insert_or_assign(assignment.substr(0, equals), assignment.substr(equals + 1));
        }
    }
    return variables;
}

merged_sources merge(const config_sources& sources, std::vector<placed_error>& errors) {
    return merger{sources, errors}.run();
}

std::optional<std::string> read_file(const std::string& file, std::string& why) {
    auto error = std::error_code{};
    if (fs::is_directory(file, error)) {
        why = std::strerror(EISDIR);
        return std::nullopt;
    }
    errno = 0;
    auto stream = std::ifstream{file, std::ios::binary};
    auto text = std::ostringstream{};
    if (!stream || (stream.peek() != std::ifstream::traits_type::eof() && !(text << stream.rdbuf()))) {
        why = std::strerror(errno != 0 ? errno : EIO);
        return std::nullopt;
    }
    return std::move(text).str();
}

std::optional<std::string> read_secret_file(const std::string& file, std::string& why) {
    auto text = read_file(file, why);
    if (text && text->ends_with('\n')) {
        text->pop_back();
        if (text->ends_with('\r')) {
            text->pop_back();
        }
    }
    return text;
}

}  // namespace linnet::app
