/* HMAC-SHA256 against the vectors of RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hmac.h"

static void test_known_ones(void **state)
{
	static const struct {
		const char *key, *first, *second, *mac;
	} cases[] = {
	    {"Jefe", "what do ya want ", "for nothing?",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "",
		"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct secret *key = secret_from(cases[i].key, strlen(cases[i].key));
		char mac[HMAC_HEX_SIZE];

		assert_non_null(key);
		hmac_sha256_hex(key, cases[i].first, cases[i].second, mac);
		assert_string_equal(mac, cases[i].mac);
		secret_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_ones)};
	bool locked;

	if (secret_heap_init(65536, &locked, NULL) != ERR_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
