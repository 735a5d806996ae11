/* The nonce search, native. cairn.mining.native compiles, loads and checks it.
 *
 * A header is 96 bytes: the first 64 are one SHA-256 block, hashed once a call; the other 32,
 * the last 8 of which are the nonce, and the padding are the second block. The block hash is
 * SHA-256 of that digest, so a nonce costs two compressions. SHA-256 is written from FIPS 180-4;
 * where the processor has the SHA extensions, they are used.
 */
#include <stdint.h>

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static const uint32_t INITIAL[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* out = the compression of 16 big-endian words into state; out and state may be the same. */
typedef void (*compression)(uint32_t out[8], const uint32_t state[8], const uint32_t words[16]);

static inline uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void compress_portable(uint32_t out[8], const uint32_t state[8], const uint32_t words[16])
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = words[i];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) +
               (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++)
        s[i] = state[i];
#pragma GCC unroll 16
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[0], e = s[4];
        uint32_t t1 = s[7] + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) +
                      ((e & s[5]) ^ (~e & s[6])) + K[i] + w[i];
        uint32_t t2 = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) +
                      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6];
        s[6] = s[5];
        s[5] = e;
        s[4] = s[3] + t1;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = a;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        out[i] = state[i] + s[i];
}

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_SHA_EXTENSIONS 1
#include <cpuid.h>
#include <immintrin.h>

static int has_sha_extensions(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 9) || !(c & 1u << 19)) /* SSSE3, SSE4.1 */
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* The instructions hold the state as (a, b, e, f) and (c, d, g, h), highest word first. */
__attribute__((target("sha,sse4.1,ssse3"))) static void
compress_extensions(uint32_t out[8], const uint32_t state[8], const uint32_t words[16])
{
    const __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    const __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    __m128i x = abef, y = cdgh, m[4];
    for (int i = 0; i < 4; i++)
        m[i] = _mm_loadu_si128((const __m128i *)(words + 4 * i));
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) { /* four rounds each; m[i & 3] holds words 4i to 4i+3 */
        __m128i now = m[i & 3];
        __m128i k = _mm_add_epi32(now, _mm_loadu_si128((const __m128i *)(K + 4 * i)));
        y = _mm_sha256rnds2_epu32(y, x, k);
        x = _mm_sha256rnds2_epu32(x, y, _mm_shuffle_epi32(k, 0x0e));
        if (i < 12) { /* the words of group i+4 take the place of group i's */
            __m128i last = m[(i + 3) & 3];
            __m128i middle = _mm_alignr_epi8(last, m[(i + 2) & 3], 4); /* w[t-7] */
            __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(now, m[(i + 1) & 3]), middle);
            m[i & 3] = _mm_sha256msg2_epu32(sum, last);
        }
    }
    uint32_t p[4], q[4];
    _mm_storeu_si128((__m128i *)p, _mm_add_epi32(x, abef));
    _mm_storeu_si128((__m128i *)q, _mm_add_epi32(y, cdgh));
    out[0] = p[3], out[1] = p[2], out[4] = p[1], out[5] = p[0];
    out[2] = q[3], out[3] = q[2], out[6] = q[1], out[7] = q[0];
}
#endif

static inline uint32_t word(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int at_most(const uint32_t hash[8], const uint32_t target[8])
{
    for (int i = 0; i < 8; i++)
        if (hash[i] != target[i])
            return hash[i] < target[i];
    return 1;
}

static inline __attribute__((always_inline)) int
run(compression compress, const uint8_t *header, const uint8_t *target_bytes, uint64_t first,
    uint64_t last, uint64_t *found)
{
    uint32_t midstate[8], target[8], words[16], second[16] = {0}, hash[8];
    for (int i = 0; i < 16; i++)
        words[i] = word(header + 4 * i);
    compress(midstate, INITIAL, words);
    for (int i = 0; i < 8; i++)
        target[i] = word(target_bytes + 4 * i);
    for (int i = 0; i < 6; i++)
        words[i] = word(header + 64 + 4 * i);
    for (int i = 8; i < 16; i++)
        words[i] = 0;
    words[8] = 0x80000000;
    words[15] = 96 * 8; /* message lengths in bits */
    second[8] = 0x80000000;
    second[15] = 32 * 8;
    for (uint64_t nonce = first;; nonce++) {
        words[6] = (uint32_t)(nonce >> 32);
        words[7] = (uint32_t)nonce;
        compress(second, midstate, words);
        compress(hash, INITIAL, second);
        if (at_most(hash, target)) {
            *found = nonce;
            return 1;
        }
        if (nonce == last)
            return 0;
    }
}

/* 1 and *found when a nonce of first … last (both included) solves the header, else 0.
 * `portable` not 0: without the processor's extensions. */
int cairn_search(const uint8_t *header, const uint8_t *target, uint64_t first, uint64_t last,
                 int portable, uint64_t *found)
{
#ifdef HAVE_SHA_EXTENSIONS
    if (!portable && has_sha_extensions())
        return run(compress_extensions, header, target, first, last, found);
#endif
    (void)portable;
    return run(compress_portable, header, target, first, last, found);
}

/* Whether this processor's SHA extensions are used. */
int cairn_has_extensions(void)
{
#ifdef HAVE_SHA_EXTENSIONS
    return has_sha_extensions();
#else
    return 0;
#endif
}
