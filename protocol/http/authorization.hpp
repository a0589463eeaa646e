// What an Authorization field says: a name and a password (RFC 7617), or a token (RFC 6750).
//
// Owns:     its texts: they are decoded, and outlive the request while a password is being hashed.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace linnet::http {

struct basic_credentials {
    std::string user;
    std::string password;
};

struct bearer_token {
    std::string token;
};

using credentials = std::variant<basic_credentials, bearer_token>;

// nullopt for another scheme, and for one of these that is malformed: all of that is answered 401. A user's name has
// no colon, as RFC 7617 has it, and neither it nor the password a control character.
[[nodiscard]] std::optional<credentials> parse_authorization(std::string_view value);

}  // namespace linnet::http
