// What tests ask of the emulator where a GPU runs them: orders are the hardware's, and nothing fails on request.
#include <emulator/settings.h>

namespace emulated {

const char* flavour() { return "gpu"; }
Settings settings() { return {}; }
void set_settings(const Settings&) {}
Settings parse_settings(const std::string&, const Settings& base) { return base; }
Counts counts() { return {}; }

}  // namespace emulated
