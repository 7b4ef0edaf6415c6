#pragma once
// Rules that span several fields, or that a field's type cannot say.
//
// threads: any; nothing is shared

#include "conf/findings.hpp"
#include "conf/settings.hpp"

namespace portico::conf {

/// Reports every rule that `settings` breaks, at the place where the value was written. Values that are
/// already reported are passed over.
void check(const Settings& settings, Findings& findings);

}  // namespace portico::conf
