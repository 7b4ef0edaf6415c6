#include "proxy/http/acme_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <optional>

#include "proxy/h1/octets.hpp"
#include "proxy/http/redirect.hpp"

namespace portico::proxy::http {

namespace {

constexpr std::string_view folder = "/.well-known/acme-challenge/";

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// The alphabet of base64url, so neither a dot nor a slash: a token names something in the folder itself or
/// nothing.
bool is_token(std::string_view text) noexcept {
  return !text.empty() && text.size() <= NAME_MAX && std::all_of(text.begin(), text.end(), [](char c) {
    return h1::is(h1::Octet::host, c) && c != '.' && c != '~';
  });
}

std::optional<std::string> read_challenge(const std::string& webroot, const std::string& token) {
  const std::string path = webroot + std::string(folder);
  const Descriptor place(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (place.get() < 0) return std::nullopt;
  // Only the last component is the client's choice. Whoever may write into the folder must not have other
  // files read by a link, nor stop the worker by a pipe.
  const Descriptor file(
      ::openat(place.get(), token.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat about {};
  if (file.get() < 0 || ::fstat(file.get(), &about) != 0 || !S_ISREG(about.st_mode)) return std::nullopt;
  // One byte more than there may be, to see that the file ends.
  std::string bytes(max_challenge + 1, '\0');
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > max_challenge) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

}  // namespace

bool asks_for_challenge(std::string_view target) { return origin_form(target).starts_with(folder); }

std::string answer_challenge(const std::string& webroot, std::string_view method, std::string_view target,
                             const AnswerFacts& facts) {
  std::string token = origin_form(target);
  token.resize(std::min(token.find('?'), token.size()));
  std::optional<std::string> challenge;
  if (token.starts_with(folder) && (method == "GET" || method == "HEAD")) {
    token.erase(0, folder.size());
    if (is_token(token)) challenge = read_challenge(webroot, token);
  }
  return challenge ? format_fixed(200, "text/plain", *challenge, facts)
                   : format_fixed(404, "text/plain", "There is no such challenge here.\n", facts);
}

}  // namespace portico::proxy::http
