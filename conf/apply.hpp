#pragma once
// Puts what an operator wrote into Settings, field by field of the schema.
//
// owns:    nothing
// threads: any; each call changes only its arguments
// errors:  reported to the Findings; a field with a mistake keeps the value it had

#include <span>
#include <string>
#include <string_view>

#include "conf/findings.hpp"
#include "conf/json_reader.hpp"
#include "conf/schema.hpp"
#include "conf/settings.hpp"

namespace portico::conf {

/// Applies a settings file. `settings` holds the defaults before.
void apply_file(const JsonValue& root, std::string_view source, Settings& settings, Findings& findings);

/// Applies a flag or a variable. Precondition: `texts` is not empty.
void apply_shortcut(const Shortcut& shortcut, std::span<const std::string> texts, const Origin& origin,
                    Settings& settings, Findings& findings);

/// True when a shortcut's field is a list, which a variable writes with commas.
bool takes_list(const Shortcut& shortcut);

}  // namespace portico::conf
