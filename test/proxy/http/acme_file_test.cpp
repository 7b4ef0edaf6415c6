#include "proxy/http/acme_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>

#include <catch2/catch.hpp>

#include "heads.hpp"
#include "test/support/address.hpp"

using namespace portico::proxy::http;
using portico::test::TemporaryFolder;
using test::Seen;

namespace {

constexpr const char* token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
const std::string path = std::string("/.well-known/acme-challenge/") + token;

// A folder of challenges with one in it.
struct Webroot {
  Webroot() {
    std::filesystem::create_directories(challenges);
    write(challenges / token, "authorization");
    write(folder.path() / "secret", "secret");
  }
  static void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file) << text;
  }
  [[nodiscard]] Seen ask(const std::string& target, const std::string& method = "GET",
                         const AnswerFacts& facts = {}) const {
    return Seen(answer_challenge((folder.path() / "web").string(), method, target, facts));
  }
  // The status alone.
  [[nodiscard]] std::string status(const std::string& target, const std::string& method = "GET") const {
    return ask(target, method).start.substr(9, 3);
  }

  TemporaryFolder folder;
  std::filesystem::path challenges = folder.path() / "web/.well-known/acme-challenge";
};

}  // namespace

TEST_CASE("a challenge is answered with its file as plain text") {
  const Webroot webroot;
  const Seen seen = webroot.ask(path);
  CHECK(seen.start == "HTTP/1.1 200 OK");
  CHECK(seen.one("content-type") == "text/plain");
  CHECK(seen.one("content-length") == "13");
  CHECK(seen.body == "authorization");
  CHECK(webroot.ask(path + "?x=/../").body == "authorization");
  CHECK(webroot.ask("http://a.example" + path).body == "authorization");
}

TEST_CASE("HEAD of a challenge is the head alone, and no other method is known") {
  const Webroot webroot;
  AnswerFacts facts;
  facts.head_request = true;
  const Seen seen = webroot.ask(path, "HEAD", facts);
  CHECK(seen.start == "HTTP/1.1 200 OK");
  CHECK(seen.one("content-length") == "13");
  CHECK(seen.body.empty());
  for (const char* const method : {"POST", "PUT", "DELETE", "get", "OPTIONS"})
    CHECK(webroot.status(path, method) == "404");
}

TEST_CASE("only paths below the folder of challenges ask for one") {
  CHECK(asks_for_challenge(path));
  CHECK(asks_for_challenge("/.well-known/acme-challenge/"));
  CHECK(asks_for_challenge("/.well-known/acme-challenge/../x"));
  CHECK(asks_for_challenge("http://a.example" + path));
  for (const std::string target :
       {"/", "/.well-known/acme-challenge", "/x/.well-known/acme-challenge/y",
        "/.well-known/acme-challengex/y", "/.WELL-KNOWN/acme-challenge/y", "//.well-known/acme-challenge/y",
        "/%2ewell-known/acme-challenge/y", "*", ""}) {
    CAPTURE(target);
    CHECK_FALSE(asks_for_challenge(target));
    CHECK(Webroot().status(target) == "404");
  }
}

TEST_CASE("a token is made of base64url and names a file of the folder itself") {
  const Webroot webroot;
  Webroot::write(webroot.challenges / "a.b", "x");
  Webroot::write(webroot.challenges / "a~b", "x");
  Webroot::write(webroot.challenges / "a b", "x");
  std::filesystem::create_directory(webroot.challenges / "below");
  Webroot::write(webroot.challenges / "below" / "file", "x");
  const std::string folder = "/.well-known/acme-challenge/";
  for (const std::string& bad : std::initializer_list<std::string>{
           "", ".", "..", "../../../secret", "..%2f..%2f..%2fsecret", "%2e%2e", "a.b", "a~b", "a b", "a%20b",
           "below", "below/file", "/" + std::string(token), std::string(token) + "/",
           std::string(token) + "%00", "other", std::string(token) + "\r\n", std::string(300, 'a')}) {
    CAPTURE(bad);
    CHECK(webroot.status(folder + bad) == "404");
  }
  CHECK(webroot.status(folder + token + std::string(1, '\0')) == "404");
  const std::string longest(255, '-');
  Webroot::write(webroot.challenges / longest, "x");
  CHECK(webroot.status(folder + longest) == "200");
  Webroot::write(webroot.challenges / "_", "x");
  CHECK(webroot.status(folder + "_") == "200");
}

TEST_CASE("what is no regular file is no challenge, and does not hold up the worker") {
  const Webroot webroot;
  const std::string folder = "/.well-known/acme-challenge/";
  std::filesystem::create_symlink("../../../secret", webroot.challenges / "out");
  std::filesystem::create_symlink(token, webroot.challenges / "in");
  REQUIRE(::mkfifo((webroot.challenges / "pipe").c_str(), 0600) == 0);
  const portico::test::Listener socket(
      portico::test::Address::unix_path((webroot.challenges / "socket").string()));
  for (const std::string name : {"out", "in", "pipe", "socket"}) {
    CAPTURE(name);
    CHECK(webroot.status(folder + name) == "404");
  }
}

TEST_CASE("a challenge may have 16 KiB and no more") {
  const Webroot webroot;
  const std::string largest(max_challenge, 'x');
  Webroot::write(webroot.challenges / token, largest);
  CHECK(webroot.ask(path).body == largest);
  Webroot::write(webroot.challenges / token, largest + "x");
  CHECK(webroot.status(path) == "404");
}

TEST_CASE("a folder that is not there has no challenges") {
  const TemporaryFolder folder;
  CHECK(Seen(answer_challenge(folder.file("none"), "GET", path, {})).start == "HTTP/1.1 404 Not Found");
}
