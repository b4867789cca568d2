#include "json.h"

namespace crispcast::client {

namespace {

// Appends a code point as UTF-8; only whole characters, so that a cut text stays UTF-8.
void append(JsonText& out, uint32_t code) {
    char bytes[4];
    size_t size = 0;
    if (code < 0x80) {
        bytes[size++] = char(code);
    } else if (code < 0x800) {
        bytes[size++] = char(0xc0 | code >> 6);
        bytes[size++] = char(0x80 | (code & 63));
    } else if (code < 0x10000) {
        bytes[size++] = char(0xe0 | code >> 12);
        bytes[size++] = char(0x80 | (code >> 6 & 63));
        bytes[size++] = char(0x80 | (code & 63));
    } else {
        bytes[size++] = char(0xf0 | code >> 18);
        bytes[size++] = char(0x80 | (code >> 12 & 63));
        bytes[size++] = char(0x80 | (code >> 6 & 63));
        bytes[size++] = char(0x80 | (code & 63));
    }
    if (out.cut || out.size + size > JsonText::kMost) {
        out.cut = true;
        return;
    }
    memcpy(out.bytes + out.size, bytes, size);
    out.size += size;
    ++out.characters;
}

}  // namespace

void Json::refuse(const char* what) {
    if (!ok_) return;
    ok_ = false;
    for (int i = 0; i < depth_; ++i) {
        if (i != 0) fault_ << ".";
        if (levels_[i].object)
            fault_.quote(levels_[i].key, strlen(levels_[i].key));
        else
            fault_ << levels_[i].index;
    }
    if (depth_ != 0) fault_ << ": ";
    fault_ << what;
}

void Json::space() {
    while (next_ != end_ && (*next_ == ' ' || *next_ == '\t' || *next_ == '\n' || *next_ == '\r'))
        ++next_;
}

bool Json::literal(const char* text) {
    space();
    const size_t size = strlen(text);
    if (size_t(end_ - next_) < size || memcmp(next_, text, size) != 0) return false;
    next_ += size;
    return true;
}

bool Json::push(bool object) {
    if (depth_ == kMaxJsonDepth) {
        refuse("nested too deep");
        return false;
    }
    levels_[depth_++] = {object, true, -1, {}};
    return true;
}

void Json::begin_object() {
    if (!ok_) return;
    if (!literal("{")) return refuse("not an object");
    push(true);
}

void Json::begin_array() {
    if (!ok_) return;
    if (!literal("[")) return refuse("not a list");
    push(false);
}

bool Json::next_key(JsonText& key) {
    if (!ok_) return false;
    Level& level = levels_[depth_ - 1];
    if (literal("}")) {
        --depth_;
        return false;
    }
    if (!level.first && !literal(",")) {
        refuse("not JSON: a comma or a closing brace is missing");
        return false;
    }
    level.first = false;
    level.key[0] = 0;
    string(key);
    if (!ok_) return false;
    const size_t room = sizeof level.key - 1;
    const size_t shown = key.size <= room ? key.size : whole_characters(key.bytes, room);
    memcpy(level.key, key.bytes, shown);
    level.key[shown] = 0;
    if (!literal(":")) refuse("not JSON: a colon is missing");
    return ok_;
}

bool Json::next_item() {
    if (!ok_) return false;
    Level& level = levels_[depth_ - 1];
    if (literal("]")) {
        --depth_;
        return false;
    }
    if (!level.first && !literal(",")) {
        refuse("not JSON: a comma or a closing bracket is missing");
        return false;
    }
    level.first = false;
    ++level.index;
    return true;
}

bool Json::null() {
    return ok_ && literal("null");
}

bool Json::boolean() {
    if (!ok_) return false;
    if (literal("true")) return true;
    if (!literal("false")) refuse("neither true nor false");
    return false;
}

bool Json::digits() {
    const char* const begin = next_;
    while (next_ != end_ && *next_ >= '0' && *next_ <= '9') ++next_;
    return next_ != begin;
}

// Reads past the text of a number, from *begin to next_.
bool Json::number_text(const char** begin, bool* whole) {
    space();
    *begin = next_;
    *whole = true;
    if (next_ != end_ && *next_ == '-') ++next_;
    const char* const first = next_;
    if (!digits() || (*first == '0' && next_ - first > 1)) return false;
    if (next_ != end_ && *next_ == '.') {
        *whole = false;
        ++next_;
        if (!digits()) return false;
    }
    if (next_ != end_ && (*next_ == 'e' || *next_ == 'E')) {
        *whole = false;
        ++next_;
        if (next_ != end_ && (*next_ == '+' || *next_ == '-')) ++next_;
        if (!digits()) return false;
    }
    return true;
}

int64_t Json::integer(int64_t least, int64_t most) {
    if (!ok_) return least;
    const char* at;
    bool whole;
    if (!number_text(&at, &whole) || !whole) {
        refuse("not a whole number");
        return least;
    }
    const bool minus = *at == '-';
    if (minus) ++at;
    uint64_t size = 0;
    bool fits = true;
    for (; at != next_; ++at) {
        fits = fits && size <= (UINT64_MAX - 9) / 10;
        if (fits) size = 10 * size + uint64_t(*at - '0');
    }
    fits = fits && size <= uint64_t(INT64_MAX);
    const int64_t value = minus ? -int64_t(size) : int64_t(size);
    if (!fits || value < least || value > most) {
        Sentence what;
        refuse(what << "a number outside " << least << "..." << most);
        return least;
    }
    return value;
}

double Json::number(double least, double most) {
    if (!ok_) return least;
    const char* at;
    bool whole;
    if (!number_text(&at, &whole)) {
        refuse("not a number");
        return least;
    }
    const bool minus = *at == '-';
    if (minus) ++at;
    double value = 0;
    int64_t power = 0;
    bool fraction = false;
    for (; at != next_ && *at != 'e' && *at != 'E'; ++at) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        value = 10 * value + (*at - '0');
        power -= fraction;
        if (value > 1e300) break;
    }
    while (at != next_ && *at != 'e' && *at != 'E') ++at;
    if (at != next_) {
        ++at;
        const bool down = *at == '-';
        if (*at == '+' || *at == '-') ++at;
        int64_t exponent = 0;
        for (; at != next_; ++at)
            if (exponent < 100000) exponent = 10 * exponent + (*at - '0');
        power += down ? -exponent : exponent;
    }
    for (; power > 0 && value < 1e300 && value != 0; --power) value *= 10;
    for (; power < 0 && value > 1e-300; ++power) value /= 10;
    if (minus) value = -value;
    if (!(value >= least && value <= most)) {
        refuse("a number outside its bounds");
        return least;
    }
    return value;
}

uint32_t Json::hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
        if (next_ == end_) return UINT32_MAX;
        const char c = *next_++;
        if (c >= '0' && c <= '9')
            value = value << 4 | uint32_t(c - '0');
        else if ((c | 32) >= 'a' && (c | 32) <= 'f')
            value = value << 4 | uint32_t((c | 32) - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return value;
}

bool Json::escape(uint32_t& code) {
    if (next_ == end_) return false;
    switch (*next_++) {
        case '"':
            code = '"';
            return true;
        case '\\':
            code = '\\';
            return true;
        case '/':
            code = '/';
            return true;
        case 'b':
            code = 8;
            return true;
        case 'f':
            code = 12;
            return true;
        case 'n':
            code = 10;
            return true;
        case 'r':
            code = 13;
            return true;
        case 't':
            code = 9;
            return true;
        case 'u':
            break;
        default:
            return false;
    }
    code = hex4();
    if (code == UINT32_MAX || (code >= 0xdc00 && code < 0xe000)) return false;
    if (code < 0xd800 || code >= 0xe000) return true;
    if (end_ - next_ < 2 || next_[0] != '\\' || next_[1] != 'u') return false;
    next_ += 2;
    const uint32_t low = hex4();
    if (low < 0xdc00 || low >= 0xe000) return false;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

// One character of UTF-8 (RFC 3629): no overlong forms, no surrogates.
bool Json::utf8(uint32_t& code) {
    const uint8_t first = static_cast<uint8_t>(*next_++);
    if (first < 0x80) {
        code = first;
        return true;
    }
    const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || end_ - next_ < more) return false;
    code = first & (0x3f >> more);
    for (int i = 0; i < more; ++i) {
        const uint8_t byte = static_cast<uint8_t>(*next_++);
        if ((byte & 0xc0) != 0x80) return false;
        code = code << 6 | (byte & 63);
    }
    const uint32_t least = more == 3 ? 0x10000 : more == 2 ? 0x800 : 0x80;
    return code >= least && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
}

void Json::string(JsonText& out) {
    out.size = out.characters = 0;
    out.cut = false;
    if (!ok_) return;
    if (!literal("\"")) return refuse("not a text");
    while (next_ != end_ && *next_ != '"') {
        uint32_t code = 0;
        const bool escaped = *next_ == '\\';
        if (escaped) ++next_;
        if (!(escaped ? escape(code) : static_cast<uint8_t>(*next_) >= 32 && utf8(code)))
            return refuse("not JSON: a text with a character that is none");
        append(out, code);
    }
    if (next_ == end_) return refuse("not JSON: a text without an end");
    ++next_;
}

void Json::digest(Digest& out) {
    JsonText text;
    string(text);
    if (ok_ && (text.cut || !from_hex(text.bytes, text.size, out.bytes, sizeof out.bytes)))
        refuse("not 64 lower-case hexadecimal digits");
}

void Json::skip() {
    if (!ok_) return;
    JsonText text;
    const int outside = depth_;
    do {
        if (depth_ > outside) {
            const bool more = levels_[depth_ - 1].object ? next_key(text) : next_item();
            if (!ok_) return;
            if (!more) continue;
        }
        space();
        const char c = next_ == end_ ? 0 : *next_;
        const char* begin;
        bool whole;
        if (c == '{') {
            begin_object();
        } else if (c == '[') {
            begin_array();
        } else if (c == '"') {
            string(text);
        } else if (!literal("null") && !literal("true") && !literal("false") &&
                   !number_text(&begin, &whole)) {
            refuse("not JSON");
        }
    } while (ok_ && depth_ > outside);
}

void Json::finish() {
    if (!ok_) return;
    space();
    if (next_ != end_) refuse("not JSON: something follows after its end");
}

}  // namespace crispcast::client
