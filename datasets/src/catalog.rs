//! The one table of known data sets: files, sizes, checksums and where to download them.

use crate::checksum::Checksum::{self, Md5, Sha1};
use crate::cifar;
use crate::shape::ImageShape;

/// File format of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatasetFormat {
    /// Four IDX files; [`CatalogEntry::files`] lists train images, train labels, test images, test labels.
    Idx,
    /// CIFAR binary files; [`CatalogEntry::files`] lists the training files in order, then the test file.
    Cifar(cifar::CifarVariant),
}

/// One uncompressed file of a data set; it may also lie there as `NAME.gz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFile {
    /// File name without `.gz`.
    pub name: &'static str,
    /// Uncompressed size in bytes.
    pub bytes: u64,
    /// Checksum of the uncompressed bytes; `None` where none is published.
    pub checksum: Option<Checksum>,
}

/// One file to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadFile {
    /// File name, as on the server.
    pub name: &'static str,
    /// Size in bytes where known.
    pub bytes: Option<u64>,
    /// Checksum of the file as downloaded.
    pub checksum: Option<Checksum>,
    /// Addresses of the folders that hold it, each ending in `/`, in the order in which they are tried.
    pub mirrors: &'static [&'static str],
    /// Whether it is a gzipped tar archive that holds the files of [`CatalogEntry::files`].
    pub archive: bool,
}

/// A known data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogEntry {
    /// Name in commands and configurations, and of the folder it is kept in.
    pub id: &'static str,
    /// Name for people.
    pub title: &'static str,
    /// Authors and licence in one line.
    pub terms: &'static str,
    /// File format.
    pub format: DatasetFormat,
    /// Shape of one image.
    pub shape: ImageShape,
    /// Number of classes.
    pub classes: usize,
    /// Number of training and test examples.
    pub examples: (usize, usize),
    /// Folders, as in the authors' archive or as torchvision makes them, that are also searched.
    pub subfolders: &'static [&'static str],
    /// Files, in the order that [`DatasetFormat`] states.
    pub files: &'static [DataFile],
    /// What `fetch` downloads.
    pub downloads: &'static [DownloadFile],
}

impl CatalogEntry {
    /// Number of bytes to download, where all sizes are known.
    #[must_use]
    pub fn download_bytes(&self) -> Option<u64> {
        self.downloads.iter().map(|download| download.bytes).sum()
    }
}

/// All known data sets.
pub const CATALOG: &[CatalogEntry] = &[MNIST, FASHION_MNIST, CIFAR10, CIFAR100];

/// The entry with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static CatalogEntry> {
    CATALOG.iter().find(|entry| entry.id == id)
}

const GREY_28: ImageShape = ImageShape { channels: 1, height: 28, width: 28 };

const fn file(name: &'static str, bytes: u64, checksum: Option<Checksum>) -> DataFile {
    DataFile { name, bytes, checksum }
}

const MNIST_MIRRORS: &[&str] =
    &["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"];

/// MNIST.
pub const MNIST: CatalogEntry = CatalogEntry {
    id: "mnist",
    title: "MNIST",
    terms: "Yann LeCun, Corinna Cortes; derived from NIST; CC BY-SA 3.0",
    format: DatasetFormat::Idx,
    shape: GREY_28,
    classes: 10,
    examples: (60_000, 10_000),
    subfolders: &["MNIST/raw"],
    files: &[
        file("train-images-idx3-ubyte", 47_040_016, Some(Md5("6bbc9ace898e44ae57da46a324031adb"))),
        file("train-labels-idx1-ubyte", 60_008, Some(Md5("a25bea736e30d166cdddb491f175f624"))),
        file("t10k-images-idx3-ubyte", 7_840_016, Some(Md5("2646ac647ad5339dbf082846283269ea"))),
        file("t10k-labels-idx1-ubyte", 10_008, Some(Md5("27ae3e4e09519cfbb04c329615203637"))),
    ],
    downloads: &[
        mnist_download("train-images-idx3-ubyte.gz", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        mnist_download("train-labels-idx1-ubyte.gz", 28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        mnist_download("t10k-images-idx3-ubyte.gz", 1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        mnist_download("t10k-labels-idx1-ubyte.gz", 4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    ],
};

const fn mnist_download(name: &'static str, bytes: u64, md5: &'static str) -> DownloadFile {
    DownloadFile { name, bytes: Some(bytes), checksum: Some(Md5(md5)), mirrors: MNIST_MIRRORS, archive: false }
}

const FASHION_MIRRORS: &[&str] = &[
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
];

/// Fashion-MNIST.
pub const FASHION_MNIST: CatalogEntry = CatalogEntry {
    id: "fashion-mnist",
    title: "Fashion-MNIST",
    terms: "Han Xiao, Kashif Rasul, Roland Vollgraf; Zalando SE; MIT licence",
    format: DatasetFormat::Idx,
    shape: GREY_28,
    classes: 10,
    examples: (60_000, 10_000),
    subfolders: &["FashionMNIST/raw"],
    files: &[
        file("train-images-idx3-ubyte", 47_040_016, Some(Md5("f4a8712d7a061bf5bd6d2ca38dc4d50a"))),
        file("train-labels-idx1-ubyte", 60_008, Some(Md5("9018921c3c673c538a1fc5bad174d6f9"))),
        file("t10k-images-idx3-ubyte", 7_840_016, Some(Md5("8181f5470baa50b63fa0f6fddb340f0a"))),
        file("t10k-labels-idx1-ubyte", 10_008, Some(Md5("15d484375f8d13e6eb1aabb0c3f46965"))),
    ],
    downloads: &[
        fashion_download("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        fashion_download("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        fashion_download("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        fashion_download("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    ],
};

const fn fashion_download(name: &'static str, bytes: u64, md5: &'static str) -> DownloadFile {
    DownloadFile { name, bytes: Some(bytes), checksum: Some(Md5(md5)), mirrors: FASHION_MIRRORS, archive: false }
}

const CIFAR_MIRRORS: &[&str] = &["https://www.cs.toronto.edu/~kriz/"];
const CIFAR_TERMS: &str = "Alex Krizhevsky, Vinod Nair, Geoffrey Hinton; no licence stated";

/// CIFAR-10, binary version.
pub const CIFAR10: CatalogEntry = CatalogEntry {
    id: "cifar10",
    title: "CIFAR-10",
    terms: CIFAR_TERMS,
    format: DatasetFormat::Cifar(cifar::CifarVariant::Ten),
    shape: cifar::SHAPE,
    classes: 10,
    examples: (50_000, 10_000),
    subfolders: &["cifar-10-batches-bin"],
    files: &[
        file("data_batch_1.bin", 30_730_000, Some(Sha1("aadd24acce27caa71bf4b10992e9e7b2d74c2540"))),
        file("data_batch_2.bin", 30_730_000, Some(Sha1("c0ba65cce70568cd57b4e03e9ac8d2a5367c1795"))),
        file("data_batch_3.bin", 30_730_000, Some(Sha1("1dd00a74ab1d17a6e7d73e185b69dbf31242f295"))),
        file("data_batch_4.bin", 30_730_000, Some(Sha1("aab85764eb3584312d3c7f65fd2fd016e36a258e"))),
        file("data_batch_5.bin", 30_730_000, Some(Sha1("26e2849e66a845b7f1e4614ae70f4889ae604628"))),
        file("test_batch.bin", 30_730_000, Some(Sha1("67eb016db431130d61cd03c7ad570b013799c88c"))),
    ],
    downloads: &[DownloadFile {
        name: "cifar-10-binary.tar.gz",
        bytes: None,
        checksum: Some(Md5("c32a1d4ab5d03f1284b67883e8d87530")),
        mirrors: CIFAR_MIRRORS,
        archive: true,
    }],
};

/// CIFAR-100, binary version, fine labels. Only the archive has a published checksum.
pub const CIFAR100: CatalogEntry = CatalogEntry {
    id: "cifar100",
    title: "CIFAR-100",
    terms: CIFAR_TERMS,
    format: DatasetFormat::Cifar(cifar::CifarVariant::Hundred),
    shape: cifar::SHAPE,
    classes: 100,
    examples: (50_000, 10_000),
    subfolders: &["cifar-100-binary"],
    files: &[file("train.bin", 153_700_000, None), file("test.bin", 30_740_000, None)],
    downloads: &[DownloadFile {
        name: "cifar-100-binary.tar.gz",
        bytes: None,
        checksum: Some(Md5("03b5dce01913d631647c71ecec9e9cb8")),
        mirrors: CIFAR_MIRRORS,
        archive: true,
    }],
};
