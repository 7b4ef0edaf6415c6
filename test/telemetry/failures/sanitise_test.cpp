#include "telemetry/failures/sanitise.hpp"

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "telemetry/failures/plain_text.hpp"
#include "telemetry/utf8.hpp"

namespace portico::telemetry {
namespace {

struct Example {
  std::string_view in;
  std::string_view out;
};

TEST_CASE("what is secret is masked, and what says the fault stays") {
  const Example example = GENERATE(values<Example>({
      // keys
      {"Incorrect API key provided: sk-abcd****wxyz. See the docs",
       "Incorrect API key provided: [redacted] See the docs"},
      {"bad key sk-proj-abcdef_ghi-123", "bad key [redacted]"},
      {"found sk-ant-api03-xyz here", "found [key] here"},
      {"found xai-0123abcd here", "found [key] here"},
      {"found AIzaSyA1234567 here", "found [key] here"},
      {"found ghp_abcd1234, gho_abcd1234", "found [key], [key]"},
      {"found SK-ABCD1234!", "found [key]!"},
      {"prefix_sk-abcd1234", "[key]"},
      {"found cpamp_aB3dE5fG", "found [key]"},
      {"AKIAIOSFODNN7EXAMPLE", "[key]"},
      {"a risk-based task-list", "a risk-based task-list"},
      // JWTs and encoded bytes
      {"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_DEF-1 is expired", "token [redacted] is expired"},
      {"bad eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc.", "bad [token]."},
      {"blob QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "blob [id]"},
      {"id 3f9a1c0b-77d2-e845-1c9e-04ab3f9a1c0b", "id [id]"},
      {"hex 3f9a1c0b77d2e8451c9e04ab3f9a1c0b", "hex [id]"},
      {"card 4111111111111111", "card [id]"},
      // names and values
      {"Authorization: Bearer abc def\nX-Other: ok", "Authorization: [redacted] X-Other: ok"},
      {"AUTHORIZATION = Basic dXNlcjpw", "AUTHORIZATION = [redacted]"},
      {"Bearer abcdefgh failed", "Bearer [token] failed"},
      {"the Bearer token is invalid", "the Bearer token is invalid"},
      {"Basic dXNlcjpwYXNz failed", "Basic [token] failed"},
      {"a basic understanding", "a basic understanding"},
      {"api_key=hunter, next", "api_key=[redacted], next"},
      {"'x-api-key': 'hunter two'", "'x-api-key': [redacted]"},
      {"refresh_token: \"abc\" rest", "refresh_token: [redacted] rest"},
      {"client-secret = abc,def rest", "client-secret = [redacted] rest"},
      {"password: hunter2", "password: [redacted]"},
      {"password hunter2 is wrong", "password [redacted] is wrong"},
      {"API key is required", "API key is required"},
      {"token: expired", "token: expired"},
      {"\"access_token\":null", "\"access_token\":null"},
      {"max_tokens: 4096", "max_tokens: 4096"},
      {"Cookie: a=b; c=d\nwords", "Cookie: [redacted] words"},
      {"Cookie: a=b;\n c=d\nwords", "Cookie: [redacted] words"},
      {R"({"Set-Cookie":["a=b; Path=/"]} tail)", R"({"Set-Cookie":[redacted]} tail)"},
      {R"({"headers":{"authorization":["Bearer x"]}})", R"({"headers":{"authorization":[redacted]}})"},
      // wrapped
      {"authorization%3A%20Bearer%20abcd", "authorization: [redacted]"},
      {"api_key%253Dabcd rest", "api_key=[redacted] rest"},
      {R"(api\u005fkey\u003dabcd rest)", "api_key=[redacted] rest"},
      {"api_key&#x3d;&quot;abcd&quot;", "api_key&#x3d;\"abcd\""},
      {"sk\xe2\x80\x8b-abcd1234", "[key]"},
      {"ｓｋ－abcd1234", "[key]"},
      {"-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY----- then", "[key] then"},
      {"-----BEGIN PRIVATE KEY-----\nMIIabc", "[key]"},
      // addresses and paths
      {"mail bob.smith+x@example.com now", "mail [email] now"},
      {"bob%40example.com", "[email]"},
      {"\"bob\"@example.com", "[email]"},
      {"claude-3-5-sonnet@20240620", "claude-3-5-sonnet@20240620"},
      {"https://user:p@ss:w@host.example:8443/v1", "https://host.example:8443/v1"},
      {"https://user:pa/ss@host.example/v1", "https://[…]"},
      {"https://host.example/v1?key=abc&b=c#d rest", "https://host.example/v1?[…] rest"},
      {"https://host.example/v1#frag rest", "https://host.example/v1#[…] rest"},
      {"/v1beta/models?auth_token=abc", "/v1beta/models?[…]"},
      {"dial tcp 10.20.30.40:9443: refused", "dial tcp [ip]:9443: refused"},
      {"dial tcp [2001:db8::1]:443: refused", "dial tcp [[ip]]:443: refused"},
      {"https://[2001:db8::1]:443/v1", "https://[ip]:443/v1"},
      {"127.0.0.1:7890 and ::1 at 12:34:56", "127.0.0.1:7890 and ::1 at 12:34:56"},
      {"open /srv/.cli-proxy-api/codex-bob@example.com.json: gone", "open [path] gone"},
      {"read auths/codex.json", "read [path]"},
      {R"(C:\\Users\\bob\\x.json not found)", "[path] not found"},
      {"POST /v1/chat/completions", "POST /v1/chat/completions"},
      {"data:image/png;base64,iVBORw0KGgo= is bad", "[data] is bad"},
      // quotes
      {"Invalid value: 'write me a poem'. Use 'low' or 'high'.",
       "Invalid value: '[…]'. Use 'low' or 'high'."},
      {"Invalid value: 'PRIVATE'.", "Invalid value: '[…]'."},
      {"Unsupported value: 'temperature' is fixed", "Unsupported value: 'temperature' is fixed"},
      {"The model `gpt-5.4` does not exist", "The model `gpt-5.4` does not exist"},
      {"lookup \"api.example.com\" failed", "lookup \"api.example.com\" failed"},
      {"don't say it's \"a secret thing\"", "don't say it's \"[…]\""},
      {"got \"cut off in the mid", "got \"[…]"},
      {"```\nsome code here\n``` is bad", "```[…]``` is bad"},
      {"\"\"\"three quotes text\"\"\" is bad", "\"\"\"[…]\"\"\" is bad"},
      {"“typographic text here” and «noch ein Text»", "“[…]” and «[…]»"},
      {R"({"error":{"message":"plain words stay","content":"PRIVATE"}})",
       R"({"error":{"message":"plain words stay","content":"[…]"}})"},
      {R"({\"message\":\"bad \\\"foo bar\\\" here\",\"messages\":[{\"content\":[\"PRIVATE\",\"TOO\"]}]})",
       R"({"message":"bad "[…]" here","messages":[{"content":["[…]","[…]"]}]})"},
      {"{'role': 'user', 'content': 'PRIVATE'}", "{'role': '[…]', 'content': '[…]'}"},
      // pages
      {"<html>\r\n<head><title>404 Not Found</title><script>var a='x'</script></head><hr>nginx</html>",
       "HTML page: 404 Not Found nginx"},
      {"<!DOCTYPE html><p>Just a moment", "HTML page: Just a moment"},
      // names that must not be taken for secrets
      {"claude-sonnet-4-5-20250929 Qwen3-235B-A22B-Instruct-2507-FP8 gpt-4o-mini-2024-07-18",
       "claude-sonnet-4-5-20250929 Qwen3-235B-A22B-Instruct-2507-FP8 gpt-4o-mini-2024-07-18"},
      {"meta-llama/Llama-3.3-70B-Instruct-Turbo-Free on generativelanguage.googleapis.com",
       "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free on generativelanguage.googleapis.com"},
      {"CreateChatCompletionStreamResponse failed", "CreateChatCompletionStreamResponse failed"},
      {"auth_unavailable: no auth available (providers=codex, model=gpt-5.4)",
       "auth_unavailable: no auth available (providers=codex, model=gpt-5.4)"},
      {"Mozilla/5.0 (X11; Linux) Chrome/120.0.0.0", "Mozilla/5.0 (X11; Linux) Chrome/120.0.0.0"},
  }));
  CAPTURE(example.in);
  CHECK(sanitise(example.in) == example.out);
}

bool well_formed(std::string_view text) {
  return utf8(text) == text && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

class Dice {
 public:
  explicit Dice(std::uint32_t seed) : engine_(seed) {}
  std::size_t roll(std::size_t sides) { return engine_() % sides; }
  template <class Choices>
  auto of(const Choices& choices) -> std::string {
    return std::string(choices[roll(choices.size())]);
  }
  std::string letters(std::size_t count, std::string_view alphabet) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += alphabet[roll(alphabet.size())];
    return text;
  }

 private:
  std::mt19937 engine_;
};

constexpr std::string_view base62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view base36 = "abcdefghijklmnopqrstuvwxyz0123456789";

// A secret, and the part of it that must not be seen. `named`: only its name gives it away.
struct Secret {
  std::string text;
  std::string core;
};

Secret make_secret(Dice& dice) {
  static const std::vector<std::string_view> prefixes{"sk-",  "sk-ant-api03-", "sk-proj-", "xai-", "ghp_",
                                                      "gsk_", "hf_",           "AIza",     "SK-",  "Xai-",
                                                      "ek_",  "glpat-",        "xoxb-"};
  static const std::vector<std::string_view> names{
      "api_key",    "Api-Key",       "apikey",        "ACCESS_TOKEN", "refresh_token",
      "secret",     "password",      "client_secret", "x-api-key",    "Cookie",
      "Set-Cookie", "Authorization", "auth_token",    "id_token",     "x-goog-api-key"};
  static const std::vector<std::string_view> assigns{
      ":",   "=",      ": ",  " = ",       " : ",     "=\"",     "\": \"",      "':'",         "%3A",
      "%3D", "%3A%20", ":\n", "\\\":\\\"", "\\u003d", "\": [\"", " provided: ", "&#34;: &#34;"};
  switch (dice.roll(6)) {
    case 0: {
      const std::string core = dice.letters(12 + dice.roll(30), base62);
      return {dice.of(prefixes) + core, core};
    }
    case 1: {
      const std::string core = dice.letters(10 + dice.roll(20), base62);
      return {"eyJhbGciOiJIUzI1NiJ9.eyJ" + core + "." + dice.letters(20, base62), core};
    }
    case 2: {
      const std::string core = dice.letters(6, base36) + "." + dice.letters(8, base36);
      return {core + "@" + dice.letters(6, "abcdef") + ".example", core};
    }
    case 3: {
      const std::string core = dice.letters(8 + dice.roll(8), base62);
      return {dice.of(names) + dice.of(assigns) + core, core};
    }
    case 4: {
      const std::string core = dice.letters(8 + dice.roll(8), base62);
      static const std::vector<std::string_view> blanks{" ", "%20", "\n", "  ", ": ", " \"", "\\u0020"};
      return {dice.of(std::vector<std::string_view>{"Bearer", "bearer", "BEARER"}) + dice.of(blanks) + core,
              core};
    }
    default: {
      const std::string core = dice.letters(8, base36) + dice.letters(4, base62);
      return {dice.of(std::vector<std::string_view>{"https://bob:", "http://x:", "socks5://a:b"}) + core +
                  "@host.example/v1",
              core};
    }
  }
}

std::string make_surroundings(Dice& dice) {
  static const std::vector<std::string_view> pieces{"error",
                                                    " ",
                                                    "\n",
                                                    "invalid request",
                                                    ": ",
                                                    "{\"error\":{\"message\":\"",
                                                    "\"}}",
                                                    "'",
                                                    "\"",
                                                    "(",
                                                    ")",
                                                    "[",
                                                    "]",
                                                    "{",
                                                    "}",
                                                    "=",
                                                    "%22",
                                                    "\\\"",
                                                    "status 401",
                                                    "ä",
                                                    "“",
                                                    "”",
                                                    ", ",
                                                    "; ",
                                                    "https://h.example/v1",
                                                    "?a=b",
                                                    "&c=d",
                                                    "<b>",
                                                    "</b>",
                                                    "model gpt-5",
                                                    "`",
                                                    "\\n",
                                                    "\\\\\\\"",
                                                    "…",
                                                    "//",
                                                    "messages[3].content",
                                                    "12:34:56",
                                                    "#",
                                                    "content",
                                                    "*",
                                                    "\xff",
                                                    "\xe2\x80",
                                                    "\t"};
  std::string text;
  for (std::size_t count = dice.roll(8); count > 0; --count) text += dice.of(pieces);
  return text;
}

TEST_CASE("no secret survives whatever stands around it") {
  for (std::uint32_t seed = 0; seed < 20'000; ++seed) {
    Dice dice(seed);
    const Secret secret = make_secret(dice);
    static const std::vector<std::string_view> borders{" ", "\n", "\"", "'",    "(",   "[",
                                                       "{", ", ", "<",  "\\\"", "%20", "`"};
    const std::string text =
        make_surroundings(dice) + dice.of(borders) + secret.text + dice.of(borders) + make_surroundings(dice);
    const std::size_t limit = dice.roll(3) == 0 ? dice.roll(80) : 512;
    const std::string safe = sanitise(text, limit);
    CAPTURE(seed, text, safe);
    REQUIRE(safe.find(secret.core) == std::string::npos);
    REQUIRE(safe.size() <= limit);
    REQUIRE(well_formed(safe));
    REQUIRE(sanitise_path(text).find(secret.core) == std::string::npos);
    REQUIRE(fault_shape(safe).find(secret.core) == std::string::npos);
  }
}

TEST_CASE("quoted free text never survives") {
  static const std::vector<std::string_view> opens{"\"",   "'",      "`",   "“",     "«",
                                                   "\\\"", "\"\"\"", "```", "&quot;"};
  static const std::vector<std::string_view> closes{"\"",   "'",      "`",   "”",     "»",
                                                    "\\\"", "\"\"\"", "```", "&quot;"};
  static const std::vector<std::string_view> before{
      "Invalid value: ", "got ", "in ", "{\"content\":", "failed: (", "[", ""};
  static const std::vector<std::string_view> after{"", ".", " is not allowed", "}", ", expected a number",
                                                   ")"};
  for (std::uint32_t seed = 0; seed < 3'000; ++seed) {
    Dice dice(seed);
    const std::size_t kind = dice.roll(opens.size());
    const std::string text = dice.of(before) + std::string(opens[kind]) + "PRIVATE words: of somebody" +
                             (dice.roll(5) == 0 ? "" : std::string(closes[kind])) + dice.of(after);
    CAPTURE(text, sanitise(text));
    REQUIRE(sanitise(text).find("PRIVATE") == std::string::npos);
    REQUIRE(sanitise(text).find("somebody") == std::string::npos);
  }
}

TEST_CASE("a text is cut at a character's border and says so") {
  const std::string text = "ä ö ü ß é è ê ë";
  for (std::size_t limit = 0; limit < 32; ++limit) {
    const std::string safe = sanitise(text, limit);
    CAPTURE(limit, safe);
    CHECK(safe.size() <= limit);
    CHECK(well_formed(safe));
    if (limit < text.size() && limit >= 3) CHECK(safe.ends_with("..."));
  }
  CHECK(sanitise(text) == text);
}

TEST_CASE("hostile texts cost linear time") {
  // Each would take minutes with a search that starts over.
  static const std::vector<std::string_view> pieces{"%",
                                                    "%25",
                                                    "\\",
                                                    "\\\"",
                                                    "\"",
                                                    "'",
                                                    "{\"message\":\"a ",
                                                    "a@",
                                                    "sk-",
                                                    "?a=",
                                                    "<",
                                                    "-",
                                                    "key:",
                                                    "[",
                                                    "https://",
                                                    "eyJ",
                                                    "&amp;",
                                                    "“",
                                                    "\"a ",
                                                    " \"a",
                                                    "/",
                                                    "::",
                                                    "Bearer ",
                                                    "api_key=\"",
                                                    "a.",
                                                    "Cookie: x;\n",
                                                    "-----BEGIN",
                                                    "\\u0025"};
  for (const std::string_view piece : pieces) {
    CAPTURE(piece);
    std::string text;
    while (text.size() < 200'000) text += piece;
    CHECK(sanitise(text, 4'000'000).size() <= 4'000'000);
  }
}

TEST_CASE("equal faults have equal shapes, different ones do not") {
  const auto shape = [](std::string_view text) { return fault_shape(sanitise(text)); };
  CHECK(shape("try again in 20s at 12:34:56") == shape("Try again in 7s at 1:02:03"));
  CHECK(shape("unknown provider for model gpt-5.44") == shape("unknown provider for model claude/opus"));
  CHECK(shape("The model `a` does not exist") == shape("The model `gpt-9` does not exist"));
  CHECK(shape("dial tcp 10.0.0.1:443: refused") == shape("dial tcp 10.0.0.2:8443: refused"));
  CHECK(shape("request req_011CQyKvZ8hbrVKkqcjEU4ox failed") ==
        shape("request req_AbC123dEf456GhI789jKl0 failed"));
  CHECK(shape("messages.3.content.0: empty") == shape("messages.14.content.2: empty"));
  CHECK(shape("Post \"https://a.example/v1\": EOF") != shape("Post \"https://b.example/v1\": EOF"));
  CHECK(shape("token expired") != shape("token revoked"));
  CHECK(fault_shape("'unclosed x") == "'unclosed x");
}

TEST_CASE("a name is short, printable and no secret") {
  CHECK(sanitise_name("gpt-5.4(high)") == "gpt-5.4(high)");
  CHECK(sanitise_name("vendor/model") == "vendor/model");
  CHECK(sanitise_name("sk-abcdef123456") == "[key]");
  CHECK(sanitise_name("bob@example.com") == "[email]");
  CHECK(sanitise_name("a\nb\x01"
                      "c") == "a b c");
  CHECK(sanitise_name(std::string(500, 'a')).size() <= longest_safe_name);
  CHECK(sanitise_name(fmt::format("{:x>100} {:9>100}", "", "")).size() <= longest_safe_name);
}

TEST_CASE("a request's path keeps what looks like a file, and loses its secrets") {
  CHECK(sanitise_path("/app/.env") == "/app/.env");
  CHECK(sanitise_path("/v1/models/gpt-5.4:generateContent") == "/v1/models/gpt-5.4:generateContent");
  CHECK(sanitise_path("/v1/sk-abcdef123456/x").find("abcdef") == std::string::npos);
}

TEST_CASE("plain text takes wrappings off, in each other too") {
  CHECK(plain_text("a%20b%2525c") == "a b%c");
  CHECK(plain_text("%3%33d") == "3d");
  CHECK(plain_text(R"(\u003cb\u003e \u00e4)") == "<b> ä");
  CHECK(plain_text(R"(a\nb\tc\/d)") == "a\nb c/d");
  CHECK(plain_text(R"(\"a\")") ==
        "\x01"
        "a\x01");
  CHECK(plain_text(R"(\\\"a)") ==
        "\x02"
        "a");
  CHECK(plain_text("a \t \n b") == "a\nb");
  CHECK(plain_text("\x01\x02x") == " x");
  CHECK(plain_text("100% sure, 50%zz") == "100% sure, 50%zz");
  CHECK(plain_text("&amp;lt;") == "<");
  CHECK(plain_text("%E4%F6") == "%E4%F6");
  CHECK(plain_text("\xc2\xad\xe2\x80\xae"
                   "x") == "x");
}

}  // namespace
}  // namespace portico::telemetry
