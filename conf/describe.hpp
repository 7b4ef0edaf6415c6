#pragma once
// Settings as text, written from the schema: the effective settings, the commented default file and the
// reference.
//
// owns:    nothing; each call returns a new string
// threads: any; pure functions

#include <string>

#include "conf/settings.hpp"

namespace portico::conf {

/// The settings as strict JSON in the layout of the settings file, ending in a newline. Secrets are `***`
/// when set, so the text may be shown.
std::string describe(const Settings& settings);

/// conf/portico.json: the built-in defaults with a comment on every field.
std::string default_file();

/// conf/REFERENCE.md: every field with type, bounds, default and meaning, and the flags and variables.
std::string reference();

}  // namespace portico::conf
