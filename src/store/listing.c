#include "store/listing.h"

#include "base/xalloc.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

enum { HAS_SIZE = 1, HAS_UID = 2, EXPIRED = 4, MATCH_SHIFT = 3 };

/*
 * One message in 20 octets: no member is wider than 32 bits, so that nothing is padded.  Before
 * the match the row of a uid's first occurrence counts how often the uid was seen.
 */
struct item {
	uint32_t uid; /* where its text begins */
	uint32_t size_low;
	uint16_t size_high;
	uint8_t occurrence;
	uint8_t flags;
	uint32_t row_low;
	uint32_t row_high;
};

_Static_assert(sizeof(struct item) == 20, "a listing must stay small");

/*
 * Index slots hold a number in the low 20 bits and a tag of the uid's hash in the upper 12, which
 * spares nearly every look at a uid that is not the one wanted.  0 is an empty slot.
 */
enum { NUMBER_BITS = 20 };
_Static_assert(LISTING_MAX < 1 << NUMBER_BITS, "a number must fit beside the tag");

/* Owned by the session; the store's thread has it alone while it is matched. */
struct listing {
	struct item *items; /* number 1 is items[0] */
	uint32_t count;
	uint32_t items_cap;
	uint32_t uids;
	size_t beyond;
	unsigned char *texts; /* length octet, then the uid, for each uid */
	size_t texts_len;
	size_t texts_cap;
	uint32_t *slots;
	uint32_t slots_cap;
	uint64_t key[2];
	unsigned lent; /* these two are the loop's thread's, always */
	bool orphaned;
};

static uint64_t
rotate(uint64_t v, int by)
{
	return v << by | v >> (64 - by);
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

/* SipHash-1-3: a server picks the uids, so it must not be able to aim at one slot. */
static uint64_t
hash_uid(const uint64_t key[2], const unsigned char *p, size_t len)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
	    key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
	uint64_t word;
	size_t rest = len;

	for (; rest >= 8; rest -= 8, p += 8) {
		memcpy(&word, p, 8);
		v[3] ^= word;
		sip_rounds(v, 1);
		v[0] ^= word;
	}
	word = 0;
	if (rest > 0)
		memcpy(&word, p, rest);
	word ^= (uint64_t)len << 56;
	v[3] ^= word;
	sip_rounds(v, 1);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_rounds(v, 3);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct listing *
listing_new(void)
{
	struct listing *l = xcalloc(1, sizeof *l);

	if (getrandom(l->key, sizeof l->key, 0) != (ssize_t)sizeof l->key)
		exit(EX_OSERR);
	return l;
}

void
listing_free(struct listing **listing)
{
	struct listing *l = *listing;

	*listing = NULL;
	if (l == NULL)
		return;
	if (l->lent > 0) {
		l->orphaned = true;
		return;
	}
	free(l->items);
	free(l->texts);
	free(l->slots);
	free(l);
}

void
listing_lend(struct listing *listing)
{
	listing->lent++;
}

void
listing_return(struct listing **listing)
{
	struct listing *l = *listing;

	*listing = NULL;
	if (--l->lent == 0 && l->orphaned)
		listing_free(&l);
}

/* A sixteenth more than there was keeps 70 octets of uid below 100 octets a message. */
static size_t
grown(size_t cap, size_t need)
{
	size_t more = cap + cap / 16 + 16;

	return more > need ? more : need;
}

/* The item of a number that a peer named; NULL when it is out of range. */
static struct item *
reach_item(struct listing *l, uint32_t number)
{
	if (number > LISTING_MAX)
		l->beyond++;
	if (number == 0 || number > LISTING_MAX)
		return NULL;
	if (number > l->items_cap) {
		l->items_cap = (uint32_t)grown(l->items_cap, number);
		l->items = xreallocarray(l->items, l->items_cap, sizeof *l->items);
	}
	if (number > l->count) {
		memset(l->items + l->count, 0, (number - l->count) * sizeof *l->items);
		l->count = number;
	}
	return &l->items[number - 1];
}

static const struct item *
item_at(const struct listing *l, uint32_t number)
{
	static const struct item none;

	return number >= 1 && number <= l->count ? &l->items[number - 1] : &none;
}

static uint64_t
item_size(const struct item *item)
{
	return (uint64_t)item->size_high << 32 | item->size_low;
}

bool
listing_set_size(struct listing *l, uint32_t number, uint64_t size)
{
	struct item *item;

	if (size >> 48 != 0 || (item = reach_item(l, number)) == NULL)
		return false;
	if (item->flags & HAS_SIZE)
		return item_size(item) == size;
	item->flags |= HAS_SIZE;
	item->size_low = (uint32_t)size;
	item->size_high = (uint16_t)(size >> 32);
	return true;
}

static void
add_text(struct listing *l, const void *uid, size_t len)
{
	if (l->texts_len + 1 + len > l->texts_cap) {
		l->texts_cap = grown(l->texts_cap, l->texts_len + 1 + len);
		l->texts = xrealloc(l->texts, l->texts_cap);
	}
	l->texts[l->texts_len] = (unsigned char)len;
	memcpy(l->texts + l->texts_len + 1, uid, len);
	l->texts_len += 1 + len;
}

static bool
text_is(const struct listing *l, const struct item *item, const void *uid, size_t len)
{
	const unsigned char *text = l->texts + item->uid;

	return text[0] == len && memcmp(text + 1, uid, len) == 0;
}

bool
listing_set_uid(struct listing *l, uint32_t number, const char *uid, size_t len)
{
	unsigned char folded[1 + SHA256_DIGEST_LENGTH] = {1};
	const void *text = uid;
	struct item *item;

	if (len == 0 || len > LISTING_UID_LIMIT || (item = reach_item(l, number)) == NULL)
		return false;
	if (len > LISTING_UID_MAX) {
		SHA256((const unsigned char *)uid, len, folded + 1);
		text = folded;
		len = sizeof folded;
	}
	if (item->flags & HAS_UID)
		return text_is(l, item, text, len);
	item->flags |= HAS_UID;
	item->uid = (uint32_t)l->texts_len;
	add_text(l, text, len);
	l->uids++;
	return true;
}

uint32_t
listing_count(const struct listing *l)
{
	return l->count;
}

bool
listing_has(const struct listing *l, uint32_t number)
{
	return (item_at(l, number)->flags & (HAS_SIZE | HAS_UID)) != 0;
}

size_t
listing_beyond(const struct listing *l)
{
	return l->beyond;
}

uint64_t
listing_size(const struct listing *l, uint32_t number)
{
	return item_size(item_at(l, number));
}

const char *
listing_uid(const struct listing *l, uint32_t number, size_t *len)
{
	const struct item *item = item_at(l, number);

	*len = 0;
	if (!(item->flags & HAS_UID))
		return "";
	*len = l->texts[item->uid];
	return (const char *)l->texts + item->uid + 1;
}

unsigned
listing_occurrence(const struct listing *l, uint32_t number)
{
	const struct item *item = item_at(l, number);

	return item->flags & HAS_UID ? item->occurrence : number;
}

enum listed_match
listing_match(const struct listing *l, uint32_t number)
{
	return (enum listed_match)(item_at(l, number)->flags >> MATCH_SHIFT & 3);
}

int64_t
listing_row(const struct listing *l, uint32_t number)
{
	const struct item *item = item_at(l, number);

	return (int64_t)((uint64_t)item->row_high << 32 | item->row_low);
}

bool
listing_expired(const struct listing *l, uint32_t number)
{
	return (item_at(l, number)->flags & EXPIRED) != 0;
}

size_t
listing_memory(const struct listing *l)
{
	return sizeof *l + l->items_cap * sizeof *l->items + l->texts_cap +
	       l->slots_cap * sizeof *l->slots;
}

/* Where (uid, occurrence) is, or the empty slot where it belongs. */
static uint32_t *
find_slot(const struct listing *l, const void *uid, size_t len, unsigned occurrence)
{
	uint64_t h = hash_uid(l->key, uid, len) + occurrence * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t tag = (uint32_t)h << NUMBER_BITS;
	size_t at = (size_t)((unsigned __int128)h * l->slots_cap >> 64);

	for (;; at = at + 1 < l->slots_cap ? at + 1 : 0) {
		uint32_t slot = l->slots[at];
		const struct item *item;

		if (slot == 0)
			break;
		if ((slot ^ tag) >> NUMBER_BITS != 0)
			continue;
		item = &l->items[(slot & ((1u << NUMBER_BITS) - 1)) - 1];
		if (item->occurrence == occurrence && text_is(l, item, uid, len))
			break;
	}
	return &l->slots[at];
}

static uint32_t
slot_number(uint32_t slot)
{
	return slot & ((1u << NUMBER_BITS) - 1);
}

static void
fill_slot(struct listing *l, uint32_t *slot, const void *uid, size_t len, unsigned occurrence,
    uint32_t number)
{
	uint64_t h = hash_uid(l->key, uid, len) + occurrence * UINT64_C(0x9e3779b97f4a7c15);

	*slot = (uint32_t)h << NUMBER_BITS | number;
}

/* Gives number its occurrence and its slot. */
static bool
index_item(struct listing *l, uint32_t number)
{
	struct item *item = &l->items[number - 1];
	size_t len;
	const char *uid = listing_uid(l, number, &len);
	uint32_t *slot = find_slot(l, uid, len, 1);

	item->occurrence = 1;
	if (*slot != 0) {
		struct item *first = &l->items[slot_number(*slot) - 1];

		if (++first->row_low > LISTING_REPEAT_MAX)
			return false;
		item->occurrence = (uint8_t)first->row_low;
		item->row_low = 0;
		slot = find_slot(l, uid, len, item->occurrence);
	} else {
		item->row_low = 1;
	}
	item->row_high = 0;
	fill_slot(l, slot, uid, len, item->occurrence, number);
	return true;
}

static void
trim(struct listing *l)
{
	if (l->items_cap > l->count && l->count > 0) {
		l->items_cap = l->count;
		l->items = xreallocarray(l->items, l->items_cap, sizeof *l->items);
	}
	if (l->texts_cap > l->texts_len && l->texts_len > 0) {
		l->texts_cap = l->texts_len;
		l->texts = xrealloc(l->texts, l->texts_cap);
	}
}

static void
clear_match(struct item *item)
{
	item->occurrence = 0;
	item->flags &= HAS_SIZE | HAS_UID;
	item->row_low = 0;
	item->row_high = 0;
}

void
listing_clear_matches(struct listing *l)
{
	for (uint32_t i = 0; i < l->count; i++)
		clear_match(&l->items[i]);
}

bool
listing_index(struct listing *l)
{
	bool ok = true;

	trim(l);
	listing_drop_index(l);
	listing_clear_matches(l);
	l->slots_cap = l->uids + l->uids / 4 + 1;
	l->slots = xcalloc(l->slots_cap, sizeof *l->slots);
	for (uint32_t n = 1; n <= l->count && ok; n++)
		if (l->items[n - 1].flags & HAS_UID)
			ok = index_item(l, n);
	for (uint32_t i = 0; i < l->count; i++)
		l->items[i].row_low = 0;
	return ok;
}

uint32_t
listing_find(const struct listing *l, const char *uid, size_t len, unsigned occurrence)
{
	if (l->slots_cap == 0 || len == 0)
		return 0;
	return slot_number(*find_slot(l, uid, len, occurrence));
}

void
listing_set_match(
    struct listing *l, uint32_t number, enum listed_match match, int64_t row, bool expired)
{
	struct item *item = &l->items[number - 1];

	item->flags = (uint8_t)((item->flags & (HAS_SIZE | HAS_UID)) | (expired ? EXPIRED : 0) |
				(unsigned)match << MATCH_SHIFT);
	item->row_low = (uint32_t)row;
	item->row_high = (uint32_t)((uint64_t)row >> 32);
}

void
listing_drop_index(struct listing *l)
{
	free(l->slots);
	l->slots = NULL;
	l->slots_cap = 0;
}
