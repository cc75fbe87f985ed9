;; What the runners of Datomic and Datalevin share: how a figure is taken, and the data and queries that
;; `annals-bench export` wrote. Prints lines of figures.
;; Arguments: DIR SUITE...; $SYSTEM is the name in the figures, $WARM_UP_MS and $BATCH_MS as in `run`.
(ns common
  (:require [clojure.edn :as edn] [clojure.java.io :as io] [clojure.string :as str]))

(defn env-ms [name default] (Long/parseLong (or (System/getenv name) default)))
;; A just-in-time compiler needs longer than the others.
(def warm-up-ms (* 3 (env-ms "WARM_UP_MS" "500")))
(def batch-ms (env-ms "BATCH_MS" "200"))
(def system (System/getenv "SYSTEM"))
(def runs 5)

(def dir (first *command-line-args*))
(def wanted (set (rest *command-line-args*)))

;; Figures

(defn now [] (/ (System/nanoTime) 1e6))

(defn mean-of-runs "Runs f at least once and until ms have passed; milliseconds a run." [ms f]
  (let [started (now)]
    (loop [n 1]
      (f)
      (let [elapsed (- (now) started)]
        (if (< elapsed ms) (recur (inc n)) (/ elapsed (double n)))))))

(defn line [suite row figures unit]
  (let [sorted (vec (sort figures)) plain #(format "%.5f" (double %))]
    (println
      (str/join "\t" [suite row system (plain (nth sorted (quot (count sorted) 2))) (plain (first sorted)) unit]))
    (flush)))

(defn note [text] (println (str "# " text)) (flush))

(defn- reason [e] (.getMessage ^Throwable (last (take-while some? (iterate ex-cause e)))))

(defn measure "A row of f's times; f answers how many rows it found, which must be `rows` unless that is nil."
  [suite row rows f]
  (try
    (let [started (now) found (f) first-ms (- (now) started)
          batches (cond (> first-ms 20000) 0 (> first-ms 4000) 1 (> first-ms 1000) 4 :else 7)]
      (when (and rows (not= rows found)) (throw (ex-info (str found " rows instead of " rows) {})))
      (when (= batches 7) (mean-of-runs warm-up-ms f))
      (line suite row
            (if (zero? batches)
              [first-ms]
              (vec (repeatedly batches #(mean-of-runs (if (= batches 7) batch-ms 0) f))))
            "ms"))
    (catch Throwable e (note (str row " failed: " (reason e))))))

(defn work
  "Rows of a work on new databases: `open` makes one, `f` fills it, `facts` counts what it then has, `close` drops it."
  [row transactions expected {:keys [open facts close]} f]
  (try
    (let [once #(let [db (open) started (now) filled (f db) ms (- (now) started) found (facts filled)]
                  (close db)
                  (System/gc)
                  (when (not= found expected) (throw (ex-info (str found " facts instead of " expected) {})))
                  ms)
          first-ms (once)
          times (if (> first-ms 4000) [first-ms] (vec (repeatedly runs once)))]
      (line "writes" row times "ms")
      (when transactions (line "writes" (str row "-rate") (map #(/ transactions (/ % 1e3)) times) "tx/s")))
    (catch Throwable e (note (str row " failed: " (reason e))))))

;; Data

(defn file [name] (io/file dir name))
(defn lines [name] (with-open [r (io/reader (file name))] (mapv #(str/split % #"\t") (line-seq r))))
(defn forms [name]
  (with-open [r (java.io.PushbackReader. (io/reader (file name)))]
    (doall (take-while #(not= ::end %)
                       (repeatedly #(edn/read {:eof ::end :readers {'node (fn [n] {::node n})}} r))))))

(def people
  (delay (mapv (fn [[n l s a m]] {:name n :last-name l :sex (keyword s) :age (parse-long a) :salary (parse-long m)})
               (lines "people.tsv"))))
(def person-keys [:name :last-name :sex :age :salary])

(defn edges [name] (lines (str name ".graph")))
(defn root "The node of a tree that no edge leads to." [edges]
  (let [targets (set (map second edges))] (first (remove targets (map first edges)))))

(def catalogue "The schema's maps, then the files of entity maps."
  (delay (mapv #(forms (str (first %) ".edn")) (lines "catalogue.txt"))))

;; Queries

(def cases (group-by :suite (forms "queries.edn")))

(defn run-cases
  "Measures queries; `q` takes a query and its arguments, `ids` has the entity of each node that they name."
  ([suite db ids cases q] (run-cases suite "" db ids cases q))
  ([suite prefix db ids cases q]
   (doseq [{:keys [row query args rows]} cases
           :let [args (into [db] (map #(if (::node %) (ids (::node %)) %)) args)]]
     (measure suite (str prefix row) rows #(count (q query args))))))

(defn middle "Two thousand in the middle." [entities]
  (let [from (quot (count entities) 2)] (subvec entities from (+ from 2000))))

(defn size "Maps within a pulled tree, itself included." [tree] (count (filter map? (tree-seq coll? seq tree))))
