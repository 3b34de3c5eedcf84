#include "core/decode_simd.h"

#include <charconv>
#include <memory>
#include <new>

#include <simdjson.h>

struct weir_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

static_assert(WEIR_INDEX_PADDING >= simdjson::SIMDJSON_PADDING, "padding");

weir_index *weir_index_new(size_t capacity) {
    std::unique_ptr<weir_index> index(new (std::nothrow) weir_index);
    if (!index || simdjson::get_active_implementation()->create_dom_parser_implementation(
                      capacity, WEIR_INDEX_PADDING, index->parser))
        return nullptr;
    return index.release();
}

void weir_index_free(weir_index *index) {
    delete index;
}

int weir_index_run(weir_index *index, const char *text, size_t len, const uint32_t **places,
                   uint32_t *places_len) {
    auto *bytes = reinterpret_cast<const uint8_t *>(text);
    auto error = index->parser->stage1(bytes, len, simdjson::stage1_mode::regular);
    if (error != simdjson::SUCCESS && error != simdjson::EMPTY)
        return -1;
    *places = index->parser->structural_indexes.get();
    *places_len = error == simdjson::EMPTY ? 0 : index->parser->n_structural_indexes;
    return 0;
}

int weir_real_parse(const char *text, size_t len, double *value) {
    return std::from_chars(text, text + len, *value).ec == std::errc() ? 0 : -1;
}

size_t weir_real_text(char *out, size_t out_max, double value) {
    auto result = std::to_chars(out, out + out_max, value);
    return result.ec == std::errc() ? static_cast<size_t>(result.ptr - out) : 0;
}
