#include "telemetry/failures/secret_words.hpp"

#include <algorithm>
#include <array>

#include "telemetry/failures/characters.hpp"

namespace portico::telemetry {
namespace {

template <std::size_t n>
bool is_one_of(std::string_view word, const std::array<std::string_view, n>& words) noexcept {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// A short name in lower case; longer ones are nobody's names.
class Name {
 public:
  explicit Name(std::string_view name, bool keep_marks = false) noexcept {
    for (const char c : name) {
      if (!keep_marks && (c == '-' || c == '_')) continue;
      if (size_ == text_.size()) {
        size_ = 0;
        return;
      }
      text_[size_++] = to_lower(c);
    }
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }
  [[nodiscard]] bool has(std::string_view part) const noexcept {
    return view().find(part) != std::string_view::npos;
  }

 private:
  std::array<char, 64> text_{};
  std::size_t size_ = 0;
};

// How often the kind of character changes from one to the next, marks left out, and which kinds there are.
struct Mixture {
  std::size_t size = 0;
  std::size_t changes = 0;
  bool digits = false;
  bool upper = false;
  bool lower = false;

  explicit Mixture(std::string_view word) noexcept {
    char last = '\0';
    for (const char c : word) {
      const char kind = is_digit(c) ? 'd' : is_upper(c) ? 'u' : is_letter(c) ? 'l' : '\0';
      if (kind == '\0') continue;
      if (last != '\0' && kind != last) ++changes;
      last = kind;
      ++size;
      digits |= kind == 'd';
      upper |= kind == 'u';
      lower |= kind == 'l';
    }
  }
};

// One run of letters and digits.
bool random_segment(std::string_view segment) noexcept {
  if (segment.size() < 15) return false;
  const Mixture mixture(segment);
  const bool letters = mixture.upper || mixture.lower;
  if (mixture.digits && !letters) return true;
  if (mixture.digits) return segment.size() >= 16 && mixture.changes >= 4;
  // Names of code change case too, but only at the beginnings of words.
  if (mixture.upper && mixture.lower) {
    return segment.size() >= 20 && mixture.changes * 10 > segment.size() * 3;
  }
  return segment.size() >= 28;
}

bool all_hex(std::string_view text) noexcept { return std::all_of(text.begin(), text.end(), is_hex); }

bool is_uuid(std::string_view word) noexcept {
  return word.size() == 36 && word[8] == '-' && word[13] == '-' && word[18] == '-' && word[23] == '-' &&
         all_hex(word.substr(0, 8)) && all_hex(word.substr(24));
}

}  // namespace

SecretName secret_name(std::string_view name) noexcept {
  const Name squeezed(name);
  const std::string_view word = squeezed.view();
  static constexpr std::array<std::string_view, 14> values{
      "auth", "sig",    "signature", "jwt", "sid",     "otp",   "csrf",
      "xsrf", "bearer", "token",     "pat", "apikeys", "nonce", "accesskeyid"};
  if (word == "key" || word == "keys") return SecretName::weak;
  if (squeezed.has("authorization") || squeezed.has("cookie")) return SecretName::line;
  if (squeezed.has("passw") || squeezed.has("passphrase") || squeezed.has("pwd") || squeezed.has("secret")) {
    return SecretName::phrase;
  }
  const bool told = squeezed.has("credential") || squeezed.has("apikey") || squeezed.has("sessionid") ||
                    word.ends_with("token") || word.ends_with("key");
  return told || is_one_of(word, values) ? SecretName::value : SecretName::no;
}

bool tells_of_secret(std::string_view word) noexcept {
  static constexpr std::array<std::string_view, 51> words{
      "",          "null",      "none",    "nil",      "true",     "false",       "missing",
      "invalid",   "expired",   "revoked", "empty",    "required", "undefined",   "is",
      "was",       "not",       "has",     "have",     "must",     "should",      "the",
      "a",         "an",        "in",      "for",      "of",       "and",         "or",
      "to",        "from",      "with",    "format",   "header",   "string",      "object",
      "wrong",     "unknown",   "found",   "expected", "provided", "absent",      "rejected",
      "incorrect", "malformed", "refused", "tokens",   "token",    "credentials", "authentication",
      "field",     "scheme"};
  return is_one_of(Name(word, true).view(), words) && word.size() < 64;
}

bool is_scheme(std::string_view word) noexcept {
  static constexpr std::array<std::string_view, 9> schemes{
      "bearer", "basic", "digest", "token", "apikey", "oauth", "negotiate", "api-key", "hmac"};
  const Name name(word, true);
  return is_one_of(name.view(), schemes);
}

std::size_t key_prefix(std::string_view text) noexcept {
  struct Prefix {
    std::string_view begin;
    std::size_t least;   ///< characters that must follow
    bool exact = false;  ///< letter case counts: the prefix alone is too common
  };
  static constexpr std::array<Prefix, 38> prefixes{{
      {"sk-", 4},         {"sk_", 4},           {"pk-", 6},    {"pk_", 6},       {"rk_", 6},    {"rk-", 6},
      {"sess-", 6},       {"ghp_", 4},          {"gho_", 4},   {"ghu_", 4},      {"ghs_", 4},   {"ghr_", 4},
      {"github_pat_", 4}, {"aiza", 6},          {"hf_", 6},    {"xai-", 4},      {"gsk_", 4},   {"ek_", 6},
      {"cpamp_", 6},      {"r8_", 6},           {"glpat-", 4}, {"npm_", 8},      {"nvapi-", 4}, {"pplx-", 4},
      {"tvly-", 4},       {"whsec_", 4},        {"xoxb-", 4},  {"xoxp-", 4},     {"xoxa-", 4},  {"xoxs-", 4},
      {"AKIA", 12, true}, {"ASIA", 12, true},   {"ya29.", 4},  {"eyJ", 8, true}, {"fw_", 8},    {"sbp_", 8},
      {"dop_v1_", 4},     {"GOCSPX-", 8, true},
  }};
  // Every word of every record is asked about, and hardly any begins with two such letters.
  constexpr std::size_t letters = 128;
  static constexpr auto beginnings = [] {
    std::array<std::array<bool, letters>, letters> table{};
    for (const Prefix& prefix : prefixes)
      table[static_cast<unsigned char>(to_lower(prefix.begin[0]))]
           [static_cast<unsigned char>(to_lower(prefix.begin[1]))] = true;
    return table;
  }();
  if (text.size() < 2) return 0;
  const auto first = static_cast<unsigned char>(to_lower(text[0]));
  const auto second = static_cast<unsigned char>(to_lower(text[1]));
  if (first >= letters || second >= letters || !beginnings[first][second]) return 0;
  for (const Prefix& prefix : prefixes) {
    if (text.size() < prefix.begin.size() + prefix.least) continue;
    const bool begins =
        std::equal(prefix.begin.begin(), prefix.begin.end(), text.begin(),
                   [&](char word, char c) { return word == (prefix.exact ? c : to_lower(c)); });
    if (!begins) continue;
    const std::string_view rest = text.substr(prefix.begin.size(), prefix.least);
    const bool goes_on = std::all_of(rest.begin(), rest.end(), [](char c) {
      return is_digit(c) || is_upper(c) || is_letter(c) ||
             std::string_view("-_.*").find(c) != std::string_view::npos;
    });
    if (goes_on) return prefix.begin.size();
  }
  return 0;
}

bool looks_random(std::string_view word) noexcept {
  if (word.size() < 15) return false;
  if (is_uuid(word) || word.find("***") != std::string_view::npos) return true;
  const Mixture mixture(word);
  // Where marks cut a random word into short segments, the whole still changes far more often than names do.
  if (mixture.size >= 20 && mixture.digits && mixture.upper && mixture.lower &&
      mixture.changes * 20 >= mixture.size * 9) {
    return true;
  }
  for (std::size_t i = 0; i < word.size();) {
    const std::size_t begin = i;
    while (i < word.size() && word[i] != '-' && word[i] != '_') ++i;
    if (random_segment(word.substr(begin, i - begin))) return true;
    while (i < word.size() && (word[i] == '-' || word[i] == '_')) ++i;
  }
  return false;
}

bool is_telling_member(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 24> members{
      "message",          "error",  "type",         "code",    "status",       "param",
      "reason",           "detail", "details",      "msg",     "model",        "title",
      "description",      "errors", "errormessage", "domain",  "errorcode",    "errortype",
      "errordescription", "loc",    "object",       "service", "finishreason", "severity"};
  return is_one_of(Name(name).view(), members);
}

bool introduces_value(std::string_view word) noexcept {
  static constexpr std::array<std::string_view, 19> words{
      "value",  "got",  "input",       "received", "content", "prompt",  "text",
      "string", "was",  "query",       "near",     "given",   "message", "data",
      "sent",   "body", "input_value", "saw",      "provided"};
  return is_one_of(Name(word, true).view(), words);
}

bool is_request_field(std::string_view name) noexcept {
  static constexpr std::array<std::string_view, 70> fields{
      "model",
      "messages",
      "input",
      "prompt",
      "system",
      "instructions",
      "temperature",
      "top_p",
      "top_k",
      "topp",
      "topk",
      "n",
      "stream",
      "stream_options",
      "include_usage",
      "stop",
      "stop_sequences",
      "max_tokens",
      "max_completion_tokens",
      "max_output_tokens",
      "maxoutputtokens",
      "max_tokens_to_sample",
      "presence_penalty",
      "frequency_penalty",
      "logit_bias",
      "logprobs",
      "top_logprobs",
      "seed",
      "user",
      "tools",
      "tool_choice",
      "parallel_tool_calls",
      "functions",
      "function_call",
      "response_format",
      "reasoning",
      "reasoning_effort",
      "effort",
      "thinking",
      "budget_tokens",
      "thinkingbudget",
      "thinkinglevel",
      "verbosity",
      "service_tier",
      "metadata",
      "store",
      "include",
      "truncation",
      "previous_response_id",
      "conversation",
      "modalities",
      "audio",
      "prediction",
      "web_search_options",
      "contents",
      "parts",
      "role",
      "content",
      "systeminstruction",
      "generationconfig",
      "generation_config",
      "safetysettings",
      "safety_settings",
      "toolconfig",
      "cachedcontent",
      "size",
      "quality",
      "background",
      "cache_control",
      "prompt_cache_key",
  };
  return is_one_of(Name(name, true).view(), fields);
}

bool is_file_path(std::string_view path) noexcept {
  static constexpr std::array<std::string_view, 20> roots{
      "/home/",  "/root/",    "/users/",   "/etc/",     "/var/", "/tmp/",  "/opt/",
      "/usr/",   "/srv/",     "/mnt/",     "/data/",    "/app/", "/proc/", "/run/",
      "/media/", "/private/", "/library/", "/volumes/", "/lib/", "/auths/"};
  static constexpr std::array<std::string_view, 21> endings{
      ".json",   ".yaml", ".yml", ".toml", ".env", ".pem", ".key", ".crt",  ".txt", ".log",  ".db",
      ".sqlite", ".conf", ".ini", ".go",   ".py",  ".js",  ".ts",  ".sock", ".md",  ".jsonl"};
  if (path.find('/') == std::string_view::npos) return false;
  if (path.starts_with("~/") || path.find("/.") != std::string_view::npos) return true;
  const auto begins = [&](std::string_view root) { return starts_with_words(path, root); };
  // A line number may follow: `main.go:12`.
  const std::size_t colon = path.rfind(':');
  const bool line = colon != std::string_view::npos && colon + 1 < path.size() &&
                    std::all_of(path.begin() + static_cast<std::ptrdiff_t>(colon) + 1, path.end(), is_digit);
  const std::string_view file = line ? path.substr(0, colon) : path;
  return std::any_of(roots.begin(), roots.end(), begins) ||
         std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return ends_with_words(file, ending); });
}

}  // namespace portico::telemetry
