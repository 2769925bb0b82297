// The processor's vector intrinsics. Private to model/cpu.
#pragma once

#pragma GCC diagnostic push  // GCC 12 takes the "undefined" pass-through operand of its own intrinsics for a mistake
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__  // which does not know the name
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
