#pragma once
// What gives a secret away: the name in front of it, how it begins, or that nobody would write such a word.
//
// owns:    nothing
// threads: any; pure

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace portico::telemetry {

/// What a name says of the value after it.
enum class SecretName : std::uint8_t {
  no,
  weak,    ///< `key`: may name a field as well as a secret
  value,   ///< `api_key`: one value
  phrase,  ///< `password`: may hold any character but a blank
  line,    ///< `Cookie`: all that follows on the line
};

/// Letter case, `-` and `_` make no difference.
SecretName secret_name(std::string_view name) noexcept;

/// Whether a word after a secret's name says something of the secret instead of being one: `missing`,
/// `expired`.
bool tells_of_secret(std::string_view word) noexcept;

/// Such as `Bearer`: the word after it is a credential.
bool is_scheme(std::string_view word) noexcept;

/// The length of the prefix by which `text` begins as keys of some provider do; 0: none. The rest must still
/// be long enough: see least_after_prefix().
std::size_t key_prefix(std::string_view text) noexcept;

/// Whether nobody would write the word by hand: letters and digits mixed at random, long numbers, UUIDs.
/// `word` has ASCII letters, digits, `_` and `-`. Model names, dates and names of code are not random.
bool looks_random(std::string_view word) noexcept;

/// Whether the value of a JSON member with this name says what is wrong, and not what somebody wrote.
bool is_telling_member(std::string_view name) noexcept;

/// Whether the word, at the end of an error's phrase, introduces what the client had sent: `value: '...'`.
bool introduces_value(std::string_view word) noexcept;

/// A field of an LLM API's requests, such as `temperature`.
bool is_request_field(std::string_view name) noexcept;

/// Whether the path leads into somebody's file system rather than an API. Starts with `/` or a name.
bool is_file_path(std::string_view path) noexcept;

}  // namespace portico::telemetry
