/* SPDX-License-Identifier: Apache-2.0 */
/* place.c -- from an object's name to where it lies: a hash directory on a device. */
#include "diskfile/engine/hashdir.h"
#include "diskfile/format/number.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char *append(char *at, struct slice text)
{
    *at++ = '/';
    memcpy(at, text.at, text.len);
    return at + text.len;
}

static int join_name(const struct df_name *name, struct object_place *p)
{
    p->object_name_len = 3 + name->account.len + name->container.len + name->object.len;
    p->object_name = malloc(p->object_name_len);
    if (!p->object_name)
        return -ENOMEM;
    append(append(append(p->object_name, name->account), name->container), name->object);
    return 0;
}

static bool add(struct object_place *p, unsigned *len, const char *text, size_t text_len)
{
    if (*len + text_len + 2 > sizeof(p->dir))
        return false;
    if (*len > 0)
        p->dir[(*len)++] = '/';
    memcpy(p->dir + *len, text, text_len);
    *len += (unsigned)text_len;
    p->dir[*len] = '\0';
    return true;
}

static int fill_path(struct object_place *p, struct slice partition, struct slice suffix,
                     struct slice name)
{
    char objects[24];
    size_t objects_len = policy_path_component("objects", p->policy->index, objects);
    unsigned len = (unsigned)strlen(p->device->path);
    if (len + 1 > sizeof(p->dir))
        return -ENAMETOOLONG;
    memcpy(p->dir, p->device->path, len + 1);
    p->device_len = len;

    bool fits = add(p, &len, objects, objects_len);
    p->objects_len = len;
    fits = fits && add(p, &len, partition.at, partition.len);
    p->partition_len = len;
    fits = fits && add(p, &len, suffix.at, suffix.len);
    p->suffix_len = len;
    fits = fits && add(p, &len, name.at, name.len);
    p->dir_len = len;
    return fits ? 0 : -ENAMETOOLONG;
}

int place_init(struct df_store *store, const struct df_name *name, struct object_place *ret)
{
    ret->store = store;
    ret->object_name = NULL;
    ret->locked = false;
    ret->policy = store_policy(store, name->policy);
    if (!ret->policy)
        return -EINVAL;
    int r = store_device(store, name->device, &ret->device);
    if (r < 0)
        return r;
    hash_path(&store->options.hash_key, name->account, name->container, name->object, &ret->hash);
    r = fill_path(ret, name->partition, (struct slice){hash_suffix(&ret->hash), 3},
                  (struct slice){ret->hash.hex, HASH_HEX_LEN});
    if (r < 0)
        return r;
    return join_name(name, ret);
}

int place_of_directory(struct df_store *store, struct store_device *device,
                       const struct df_policy *policy, struct slice partition, struct slice suffix,
                       struct slice name, struct object_place *ret)
{
    ret->store = store;
    ret->device = device;
    ret->policy = policy;
    ret->object_name = NULL;
    ret->object_name_len = 0;
    ret->locked = false;
    memset(&ret->hash, 0, sizeof(ret->hash));
    if (name.len == HASH_HEX_LEN) /* else no object's name hashes to it */
        memcpy(ret->hash.hex, name.at, HASH_HEX_LEN);
    return fill_path(ret, partition, suffix, name);
}

void place_release(struct object_place *p)
{
    free(p->object_name);
    p->object_name = NULL;
}

size_t policy_path_component(const char *base, unsigned policy_index, char text[24])
{
    char *at = stpcpy(text, base);
    if (policy_index > 0) {
        *at++ = '-';
        at = number_write(at, policy_index, 1);
        *at = '\0';
    }
    return (size_t)(at - text);
}

const char *df_store_place(const struct df_store *store, struct slice account,
                           struct slice container, struct slice object, char partition[16])
{
    if (!store_stand_alone(store))
        return NULL;
    struct object_hash hash;
    hash_path(&store->options.hash_key, account, container, object, &hash);
    snprintf(partition, 16, "%u", hash_partition(&hash, store->part_power));
    /* The partition has the digest's first bits; the directory takes others, so that the
     * partitions of one directory are not a subset. The set of directories never changes
     * (identity.h), so plain remainders are stable. */
    uint32_t spread = (uint32_t)hash.md5[4] << 24 | (uint32_t)hash.md5[5] << 16 |
                      (uint32_t)hash.md5[6] << 8 | hash.md5[7];
    return store->placed[spread % store->options.data_dir_count]->name;
}
