#pragma once
// The secret of the key fingerprints, kept in a file so that a fingerprint stays the same over restarts.
//
// owns:    nothing
// threads: at the start of the process, before the workers
// bytes:   the file holds the 16 bytes of the secret and nothing else

#include <string>

#include "telemetry/tap/key.hpp"

namespace portico::telemetry {

struct LoadedSecret {
  KeySecret secret{};
  /// For the operator: what is wrong with the file. Empty: nothing.
  std::string warning;
};

/// fingerprint.key in the state folder: $STATE_DIRECTORY (as systemd sets it), else $XDG_STATE_HOME/portico,
/// else ~/.local/state/portico. Empty where the environment names none of these.
std::string default_key_file();

/// The secret in `file` (empty: default_key_file()). A file that is not there is made with mode 0600, its
/// folders with 0700; processes that start at once agree on one secret. A file that others may read is used,
/// with a warning. Where the file can't be read or made, or isn't 16 bytes, the secret is a random one, with
/// a warning: fingerprints then last as long as this process. Such a file is left as it is. Throws
/// std::system_error if the kernel gives no random bytes.
LoadedSecret load_key_secret(const std::string& file);

}  // namespace portico::telemetry
