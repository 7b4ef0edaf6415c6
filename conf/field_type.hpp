#pragma once
// The types a field of the settings can have: how each is read, bounded, written and named.
//
// owns:    a FieldType borrows names that live as long as the program
// threads: any; pure functions, problems go to the Findings given
// errors:  what is wrong is reported, and std::nullopt returned

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conf/findings.hpp"
#include "conf/json_reader.hpp"
#include "conf/settings.hpp"

namespace portico::conf {

/// A whole number; one of `allowed` where that is not empty.
struct IntegerType {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::span<const std::uint64_t> allowed;
};
/// Bytes: `64KiB`, `64MiB`, `1GiB` or a plain number.
struct SizeType {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};
/// A time to wait: `500ms`, `15s`, `5m`, `1h` or `2d`.
struct DurationType {
  Milliseconds min{1};
  Milliseconds max = std::chrono::hours(24 * 30);
};
/// One of a few words, held as its index.
struct ChoiceType {
  std::span<const std::string_view> words;
};
struct TextType {
  std::string_view (*objection)(std::string_view) noexcept = nullptr;  ///< one of conf/text_rules.hpp
  std::size_t max = 0;                                                 ///< bytes
  bool secret = false;                                                 ///< never shown
};
/// One ListenAddress.
struct AddressType {};
/// A list of ListenAddress, Url or Network.
template <class T>
struct ListType {
  std::size_t min = 0;
  std::size_t max = 0;
};
/// A list of texts under one rule.
template <>
struct ListType<std::string> {
  std::size_t min = 0;
  std::size_t max = 0;
  TextType item;
  std::string_view noun;  ///< what the items are: `files`
};
using FieldType =
    std::variant<IntegerType, SizeType, DurationType, ChoiceType, TextType, AddressType,
                 ListType<ListenAddress>, ListType<Url>, ListType<Network>, ListType<std::string>>;

/// A field's value while it is between its text and its place in Settings.
using Value =
    std::variant<std::uint64_t, Milliseconds, std::string, ListenAddress, std::vector<ListenAddress>,
                 std::vector<Url>, std::vector<Network>, std::vector<std::string>>;

/// Reads a value out of the file's tree and notes the origins of it and of a list's items.
std::optional<Value> read_json_value(const FieldType& type, const JsonValue& json, const std::string& path,
                                     std::string_view source, Findings& findings);

/// Reads a value out of a flag or a variable. A list takes all `texts`, everything else the last one.
/// Precondition: there is at least one.
std::optional<Value> read_text_value(const FieldType& type, std::span<const std::string> texts,
                                     const std::string& path, const Origin& origin, Findings& findings);

[[nodiscard]] bool is_list(const FieldType& type) noexcept;

/// The value as JSON, lists on one line; a secret that is not empty is `"***"`.
std::string to_json(const FieldType& type, const Value& value);

/// What it is: `size`, `list of networks`, `one of "debug", "info"`.
std::string type_name(const FieldType& type);
/// What is allowed: `1KiB to 1MiB`; empty when the name says it all.
std::string bounds_text(const FieldType& type);

/// `"a text"`, `12`, `true`, `a list`: what stands in the file, short and safe to print.
std::string shown(const JsonValue& json);
std::string shown(std::string_view text);

/// `64KiB`, `1048577`: in the largest unit that divides it.
std::string size_text(std::uint64_t bytes);
/// `15s`, `1h`: in the largest unit that divides it.
std::string duration_text(Milliseconds duration);
/// Strict: digits and one unit. std::nullopt also when it does not fit.
std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;
std::optional<Milliseconds> parse_duration(std::string_view text) noexcept;

}  // namespace portico::conf
