#pragma once

namespace linnet::app {

// From now on the process ends where OpenSSL gets no memory (base/out_of_memory.hpp): it does not survive that itself
// (a lock that could not be made is taken all the same), and what it can answer, a hash that is none, is no answer.
//
// Before anything else of OpenSSL's.
void end_when_openssl_is_out_of_memory() noexcept;

}  // namespace linnet::app
