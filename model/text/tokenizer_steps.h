// Readers of the steps of tokenizer.json. What they do not know is refused by name, exit code 3.
#pragma once

#include <vector>

#include "model/text/decoder.h"
#include "model/text/normalizer.h"
#include "model/text/pretokenizer.h"
#include "model/text/tokenizer_part.h"

namespace cohort {

std::vector<NormalizerStep> read_normalizer(const TokenizerPart& part);
PreTokenizer read_pre_tokenizer(const TokenizerPart& part);
DecoderSteps read_decoder(const TokenizerPart& part);

}  // namespace cohort
